package provisiontest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lock"
)

// store keeps a machine, in memory or in a file. Views and updates exclude each
// other, across processes too where there is a file.
type store struct {
	opts  *BackendOptions
	locks *lock.Set
	// Guarded by the lock:
	memory *machine  // where there is no file
	files  *lock.Set // excludes other processes; opened at first use
	seen   bool      // the file has been there
}

func newStore(o *BackendOptions) *store {
	s := &store{opts: o, locks: new(lock.Set)}
	if o.File == "" {
		s.memory = newMachine()
	}
	return s
}

func (s *store) view(ctx context.Context, look func(*machine) error) error {
	return s.with(ctx, func(m *machine, moved bool) (bool, error) { return moved, look(m) })
}

func (s *store) update(ctx context.Context, change func(*machine) error) error {
	return s.with(ctx, func(m *machine, _ bool) (bool, error) {
		err := change(m)
		return err == nil, err
	})
}

// with runs do on the machine as it is now; moved says that time has changed
// something, and what do returns first that it is to be saved.
func (s *store) with(ctx context.Context, do func(m *machine, moved bool) (bool, error)) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	m, err := s.load()
	if err != nil {
		return fmt.Errorf("%w: state file: %w", provision.ErrUnavailable, err)
	}
	m.opts = s.opts
	moved := m.advance()
	save, err := do(m, moved)
	if err == nil && save {
		err = s.save(m)
	}
	return err
}

func (s *store) lock(ctx context.Context) (func(), error) {
	unlock, err := s.locks.Lock(ctx, 0, "machine", lock.Exclusive)
	if err != nil || s.opts.File == "" {
		return unlock, err
	}
	unlockFile, err := s.lockFile(ctx)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() { unlockFile(); unlock() }, nil
}

// lockFile is called with the lock of this process held.
func (s *store) lockFile(ctx context.Context) (func(), error) {
	if s.files == nil {
		files, err := lock.Open(s.opts.File + ".lock")
		if err != nil {
			return nil, fmt.Errorf("%w: state file: %w", provision.ErrUnavailable, err)
		}
		s.files = files
	}
	return s.files.Lock(ctx, 0, "machine", lock.Exclusive)
}

func (s *store) load() (*machine, error) {
	if s.memory != nil {
		return s.memory, nil
	}
	text, err := os.ReadFile(s.opts.File)
	if errors.Is(err, fs.ErrNotExist) && !s.seen {
		m := newMachine()
		return m, s.save(m)
	}
	if err != nil {
		return nil, err
	}
	m := new(machine)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", s.opts.File, err)
	}
	if m.Version != machineVersion {
		return nil, fmt.Errorf("%s is damaged or of another version: %d", s.opts.File, m.Version)
	}
	s.seen = true
	return m, nil
}

// save replaces the file at once, so that a process that is killed leaves the
// old state or the new one. The lock is held, so one temporary name is enough,
// and what a killed process left under it is overwritten.
func (s *store) save(m *machine) error {
	if s.memory != nil {
		return nil
	}
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	tmp := s.opts.File + ".tmp"
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.opts.File); err != nil {
		return err
	}
	s.seen = true
	return nil
}
