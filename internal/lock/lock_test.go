//go:build linux

package lock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const childEnv = "PROVISION_LOCK_TEST"

// TestMain plays the other process: it takes a lock, says so, and holds it until
// its standard input ends.
func TestMain(m *testing.M) {
	mode, path := os.Getenv(childEnv), os.Getenv(childEnv+"_PATH")
	if mode == "" {
		os.Exit(m.Run())
	}
	s, err := Open(path)
	if err == nil {
		_, err = s.Lock(context.Background(), 1, "web1", map[string]Mode{"exclusive": Exclusive, "shared": Shared}[mode])
	}
	fmt.Println("held", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// child is another process that holds web1.
type child struct {
	cmd *exec.Cmd
	in  io.Closer
}

func hold(t *testing.T, path, mode string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+mode, childEnv+"_PATH="+path)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held <nil>\n", line)
	return &child{cmd, in}
}

func open(t *testing.T) (*Set, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dir", "x.lock")
	s, err := Open(path)
	require.NoError(t, err)
	return s, path
}

// free reports whether a lock can be had at once.
func free(t *testing.T, s *Set, space uint8, name string, mode Mode) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	unlock, err := s.Lock(ctx, space, name, mode)
	if err != nil {
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Nil(t, unlock)
		return false
	}
	unlock()
	return true
}

func TestModes(t *testing.T) {
	file, _ := open(t)
	for name, s := range map[string]*Set{"process": new(Set), "file": file} {
		for _, c := range []struct {
			held, want Mode
			free       bool
		}{{Exclusive, Exclusive, false}, {Exclusive, Shared, false}, {Shared, Exclusive, false}, {Shared, Shared, true}} {
			t.Run(fmt.Sprintf("%s/%d,%d", name, c.held, c.want), func(t *testing.T) {
				unlock, err := s.Lock(t.Context(), 1, "web1", c.held)
				require.NoError(t, err)
				require.Equal(t, c.free, free(t, s, 1, "web1", c.want))
				require.True(t, free(t, s, 1, "web2", c.want), "another name")
				require.True(t, free(t, s, 2, "web1", c.want), "another space")
				unlock()
				unlock() // twice is once
				require.True(t, free(t, s, 1, "web1", Exclusive))
				require.Empty(t, s.names)
			})
		}
	}
}

// Two Sets of one file are as two processes.
func TestSetsExclude(t *testing.T) {
	a, path := open(t)
	b, err := Open(path)
	require.NoError(t, err)
	unlock, err := a.Lock(t.Context(), 1, "web1", Shared)
	require.NoError(t, err)
	require.True(t, free(t, b, 1, "web1", Shared))
	require.False(t, free(t, b, 1, "web1", Exclusive))
	unlock()
	require.True(t, free(t, b, 1, "web1", Exclusive))
}

func TestGoroutines(t *testing.T) {
	before := descriptors(t)
	s, _ := open(t)
	var inside, writes atomic.Int32
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			mode, weight := Shared, int32(1)
			if i%4 == 0 {
				mode, weight = Exclusive, 1000
			}
			unlock, err := s.Lock(context.Background(), 1, "web1", mode)
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(weight); weight == 1000 && n != 1000 || n > 1000 {
				t.Errorf("%d are inside together", n)
			}
			writes.Add(weight / 1000)
			inside.Add(-weight)
			unlock()
		})
	}
	wg.Wait()
	require.Equal(t, int32(10), writes.Load())
	require.Empty(t, s.names)
	require.Equal(t, before, descriptors(t))
}

func TestProcesses(t *testing.T) {
	for _, c := range []struct {
		held string
		want Mode
		free bool
	}{{"exclusive", Exclusive, false}, {"exclusive", Shared, false}, {"shared", Exclusive, false}, {"shared", Shared, true}} {
		t.Run(fmt.Sprintf("%s,%d", c.held, c.want), func(t *testing.T) {
			s, path := open(t)
			other := hold(t, path, c.held)
			require.Equal(t, c.free, free(t, s, 1, "web1", c.want))
			require.True(t, free(t, s, 1, "web2", Exclusive))
			require.True(t, free(t, s, 0, "web1", Exclusive))
			require.NoError(t, other.in.Close())
			require.NoError(t, other.cmd.Wait())
			require.True(t, free(t, s, 1, "web1", Exclusive))
		})
	}
}

// The kernel gives back what a process held that was killed, and who waits gets
// it.
func TestKilledHolder(t *testing.T) {
	s, path := open(t)
	other := hold(t, path, "exclusive")
	require.False(t, free(t, s, 1, "web1", Shared))
	require.NoError(t, other.cmd.Process.Signal(syscall.SIGKILL))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	unlock, err := s.Lock(ctx, 1, "web1", Exclusive)
	require.NoError(t, err)
	unlock()
}

// A child that is started while a lock is held does not inherit it.
func TestChildrenDoNotInherit(t *testing.T) {
	s, path := open(t)
	unlock, err := s.Lock(t.Context(), 1, "web2", Exclusive)
	require.NoError(t, err)
	hold(t, path, "exclusive")
	unlock()
	require.True(t, free(t, s, 1, "web2", Exclusive))
}

func TestContextEndsTheWait(t *testing.T) {
	file, path := open(t)
	before := descriptors(t)
	mine, err := file.Lock(t.Context(), 1, "mine", Exclusive)
	require.NoError(t, err)
	other, err := Open(path)
	require.NoError(t, err)
	why := errors.New("the caller has gone")
	for name, s := range map[string]*Set{"in this process": file, "in another": other} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error)
			go func() {
				_, err := s.Lock(ctx, 1, "mine", Shared)
				done <- err
			}()
			cancel(why)
			require.ErrorIs(t, <-done, why)
		})
	}
	mine()
	require.True(t, free(t, other, 1, "mine", Exclusive), "those who gave up hold nothing")
	require.Empty(t, file.names)
	require.Empty(t, other.names)
	require.Equal(t, before, descriptors(t))
}

// One file serves all names.
func TestOneFile(t *testing.T) {
	s, path := open(t)
	for i := range 100 {
		unlock, err := s.Lock(t.Context(), uint8(i%8), fmt.Sprintf("../web%d\x00", i), Exclusive)
		require.NoError(t, err)
		defer unlock()
	}
	require.Len(t, s.names, 100)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := entries[0].Info()
	require.NoError(t, err)
	require.Zero(t, info.Size())
	require.Equal(t, os.FileMode(0o600), info.Mode())
	dir, err := os.Stat(filepath.Dir(path))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), dir.Mode().Perm())
}

func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("x"), 0o600))
	require.NoError(t, os.Symlink(target, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "new"), filepath.Join(dir, "dangling")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for _, name := range []string{"link", "dangling", "dir", "fifo", "target/below"} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(filepath.Join(dir, name))
			require.ErrorContains(t, err, filepath.Join(dir, filepath.Dir(name)))
			require.Nil(t, s)
		})
	}
	require.NoFileExists(t, filepath.Join(dir, "new"))

	s, path := open(t)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink(target, path))
	unlock, err := s.Lock(t.Context(), 1, "web1", Exclusive)
	require.ErrorIs(t, err, syscall.ELOOP)
	require.Nil(t, unlock)
	require.Empty(t, s.names)
}

// Names of one space are told apart, and spaces never meet.
func TestOffset(t *testing.T) {
	seen := map[int64]string{}
	for space := range uint8(8) {
		for i := range 2000 {
			name := fmt.Sprintf("web%d", i)
			at := offset(space, name)
			require.GreaterOrEqual(t, at, int64(space)<<59)
			require.Less(t, uint64(at), (uint64(space)+1)<<59)
			require.Empty(t, seen[at])
			seen[at] = name
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}
