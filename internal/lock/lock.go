// Package lock has named locks that goroutines wait for under a context, and
// that other processes see too.
package lock

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Mode of a lock.
type Mode int

// Modes: many may hold a name Shared, one alone Exclusive.
const (
	Exclusive Mode = iota
	Shared
)

// Set is a set of named locks. The zero value works inside this process only.
//
// Between processes, a name is one byte of one file, locked by fcntl(2) open
// file description locks: the kernel gives them back when a process dies, and
// no file per name is left behind. Two names that share a byte by chance just
// exclude each other; callers that hold two locks at once must therefore take
// them from different spaces (see Lock).
type Set struct {
	path  string
	mu    sync.Mutex
	names map[string]*entry
}

type entry struct {
	users   int // holders and waiters
	holders int // -1: exclusive
	changed chan struct{}
}

// Open returns a Set that excludes other processes by a file at path. The
// directory is made if needed, for its owner only.
func Open(path string) (*Set, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return &Set{path: path}, f.Close()
}

func current(f *os.File, path string) bool {
	a, err := f.Stat()
	b, err2 := os.Lstat(path)
	return err == nil && err2 == nil && os.SameFile(a, b)
}

func openFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Lock takes a name in a space (0 to 7) and returns what gives it back. It
// fails only when the context ends, or when the lock file cannot be used.
func (s *Set) Lock(ctx context.Context, space uint8, name string, mode Mode) (unlock func(), err error) {
	key := fmt.Sprintf("%d:%s", space, name)
	e := s.use(key)
	if err := s.wait(ctx, e, mode); err != nil {
		s.drop(key, e)
		return nil, err
	}
	release := func() {
		s.mu.Lock()
		if mode == Exclusive {
			e.holders = 0
		} else {
			e.holders--
		}
		close(e.changed)
		e.changed = make(chan struct{})
		s.mu.Unlock()
		s.drop(key, e)
	}
	if s.path == "" {
		return sync.OnceFunc(release), nil
	}
	f, err := s.lockFile(ctx, offset(space, name), mode)
	if err != nil {
		release()
		return nil, err
	}
	return sync.OnceFunc(func() {
		f.Close() // the description goes, and the lock with it
		release()
	}), nil
}

func (s *Set) use(key string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.names[key]
	if e == nil {
		e = &entry{changed: make(chan struct{})}
		if s.names == nil {
			s.names = map[string]*entry{}
		}
		s.names[key] = e
	}
	e.users++
	return e
}

func (s *Set) drop(key string, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.users--; e.users == 0 {
		delete(s.names, key)
	}
}

func (s *Set) wait(ctx context.Context, e *entry, mode Mode) error {
	for {
		s.mu.Lock()
		if mode == Exclusive && e.holders == 0 {
			e.holders = -1
			s.mu.Unlock()
			return nil
		}
		if mode == Shared && e.holders >= 0 {
			e.holders++
			s.mu.Unlock()
			return nil
		}
		changed := e.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctxerr.Of(ctx)
		}
	}
}

// lockFile polls, because a blocking lock cannot be given up when the context
// ends.
func (s *Set) lockFile(ctx context.Context, at int64, mode Mode) (*os.File, error) {
	f, err := openFile(s.path)
	if err != nil {
		return nil, err
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		ok, err := tryLock(f, at, mode)
		if ok && current(f, s.path) {
			return f, nil
		}
		if ok { // the file was replaced: others lock the new one
			f.Close()
			if f, err = openFile(s.path); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", s.path, err)
		}
		if err := ctxerr.Sleep(ctx, pause); err != nil {
			f.Close()
			return nil, err
		}
	}
}

// offset is the byte that stands for a name: 59 bits of hash within its space.
func offset(space uint8, name string) int64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return int64(space&7)<<59 | int64(h.Sum64()>>5)
}
