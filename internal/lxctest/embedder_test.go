//go:build linux

package lxctest_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

// TestEmbedderIsLeftAlone: liblxc moves who starts a guest into another control
// group, and forks a copy of its memory, with its descriptors and its environment.
// None of it happens to a program that uses this package.
func TestEmbedderIsLeftAlone(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	t.Setenv("DB_PASSWORD", "of the panel")
	handed, err := unix.Open("/etc/shadow", unix.O_RDONLY, 0) // whoever is executed has it
	require.NoError(t, err)
	defer unix.Close(handed)
	groups := m.read("/proc/self/cgroup")

	g := m.start(lxcrig.Spec("a"))
	m.says(g, "BOOTED-OK")
	require.Equal(t, groups, m.read("/proc/self/cgroup"))
	require.True(t, remembers(t, os.Getpid(), secret), "this process has the secret in its memory")
	for what, pid := range map[string]int{"monitor": m.monitor(g), "first process": m.first(g)} {
		require.False(t, remembers(t, pid, secret), "%s: it has this process's memory", what)
		require.NotContains(t, m.read(fmt.Sprintf("/proc/%d/environ", pid)), "DB_PASSWORD", what)
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		require.NoError(t, err)
		for _, fd := range fds {
			file, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
			require.NoError(t, err)
			require.NotEqual(t, "/etc/shadow", file, what)
		}
	}
	runtime.KeepAlive(secret)

	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.Equal(t, groups, m.read("/proc/self/cgroup"))
	require.NoDirExists(t, m.group("pids", g), "what is stale can be removed")
	m.clean(before)
}

// remembers says whether the memory of a process has these bytes.
func remembers(t *testing.T, pid int, secret []byte) bool {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	require.NoError(t, err)
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	require.NoError(t, err)
	defer mem.Close()
	regions := bufio.NewScanner(maps)
	for regions.Scan() {
		var from, to uint64
		var rights string
		_, err := fmt.Sscanf(regions.Text(), "%x-%x %s", &from, &to, &rights)
		require.NoError(t, err)
		if rights[:2] == "rw" && contains(io.NewSectionReader(mem, int64(from), int64(to-from)), secret) {
			return true
		}
	}
	require.NoError(t, regions.Err())
	return false
}

// contains reads as far as can be read, which is not all of a Go heap or a stack.
func contains(r io.Reader, secret []byte) bool {
	block := make([]byte, 1<<20)
	keep := 0
	for {
		n, err := io.ReadFull(r, block[keep:])
		if bytes.Contains(block[:keep+n], secret) {
			return true
		}
		if err != nil {
			return false
		}
		keep = copy(block, block[len(block)-len(secret):])
	}
}

// TestUnprivilegedByDefault: root of a guest is nobody on the host, and another
// nobody for each guest.
func TestUnprivilegedByDefault(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	seen := map[uint32]bool{}
	for _, name := range []string{"a", "b"} {
		s := lxcrig.Spec(name)
		s.NICs = nil
		g := m.start(s)
		m.says(g, "BOOTED-OK")
		require.Equal(t, "0", m.inside(g, "echo mine >/mine; id -u"))
		uid := ownerOf(t, fmt.Sprintf("/proc/%d", m.first(g)))
		require.GreaterOrEqual(t, uid, uint32(0x70000000))
		require.Zero(t, uid%65536)
		require.Equal(t, uid, ownerOf(t, m.path+"/"+name+"/upper/mine"), "its files are its own on disk too")
		require.False(t, seen[uid], "two guests have the same ids")
		seen[uid] = true
		maps := strings.Fields(m.read(fmt.Sprintf("/proc/%d/uid_map", m.first(g))))
		require.Equal(t, []string{"0", fmt.Sprint(uid), "65536"}, maps)
	}
	m.clean(before)
}

func ownerOf(t *testing.T, path string) uint32 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(path, &st))
	return st.Uid
}
