//go:build linux

package lxctest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

// jobEnv has a child of a test do something until it is killed: a word, the machine
// and the guest.
const jobEnv = "LXCTEST_JOB"

// TestJob is no test of its own, but what a child process does.
func TestJob(t *testing.T) {
	job := strings.Fields(os.Getenv(jobEnv))
	if len(job) == 0 {
		return
	}
	h := lxcrig.Open(t, job[1])
	g, err := h.Guest(t.Context(), job[2])
	require.NoError(t, err)
	switch fmt.Println("ready"); job[0] {
	case "start":
		require.NoError(t, g.Start(t.Context(), nil))
	case "stop":
		_, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
		require.NoError(t, err)
	}
}

// killed runs a job in a child process, and kills that after a while: it did not end
// by itself, or it did all of it.
func (m *machine) killed(word string, g *provision.Guest, after time.Duration) {
	m.t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestJob$")
	cmd.Env = append(os.Environ(), jobEnv+"="+word+" "+m.path+" "+g.Name())
	said, err := cmd.StdoutPipe()
	require.NoError(m.t, err)
	require.NoError(m.t, cmd.Start())
	_, err = said.Read(make([]byte, 6))
	require.NoError(m.t, err)
	time.Sleep(after) // the moment does not matter: any is to do
	require.NoError(m.t, cmd.Process.Kill())
	_ = cmd.Wait()
}

// honest requires a state that a guest can be in whose start or stop was cut off.
func (m *machine) honest(g *provision.Guest) {
	m.t.Helper()
	require.Contains(m.t, []provision.State{provision.StateRunning, provision.StateStopped, provision.StateStarting, provision.StateStopping}, m.state(g))
}

// TestKilled: the program is killed in the midst of a start or a stop, at many moments;
// another one goes on with the guest, or removes it, and nothing is left.
func TestKilled(t *testing.T) {
	const moments = 8
	m := newMachine(t)
	before := m.leftovers()
	g := m.create(lxcrig.Spec("a"))
	for i := range moments {
		after := time.Duration(i)*8*time.Millisecond + rand.N(8*time.Millisecond)
		t.Logf("start, killed after %v", after)
		m.killed("start", g, after)
		m.honest(g)
		m.settled(g)
		require.NoError(t, g.Start(t.Context(), nil))
		require.Equal(t, provision.StateRunning, m.state(g))
		t.Logf("stop, killed after %v", after)
		m.killed("stop", g, after)
		m.honest(g)
		if i%2 == 0 {
			require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
			require.Equal(t, before, m.leftovers())
			g = m.create(lxcrig.Spec("a"))
			continue
		}
		_, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
		require.NoError(t, err)
	}
	m.clean(before)
}

// settled waits until liblxc, which goes on by itself, has started a guest or not.
func (m *machine) settled(g *provision.Guest) {
	m.t.Helper()
	m.eventually("it is on or off", func() bool {
		s := m.state(g)
		return s == provision.StateRunning || s == provision.StateStopped
	})
}

// TestMonitorKilled: liblxc's process for a guest is killed. What is left of the guest
// is said, and Delete, Stop and Start do with it what they do with any.
func TestMonitorKilled(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	for name, next := range map[string]func(*provision.Guest) error{
		"delete": func(g *provision.Guest) error {
			return g.Delete(t.Context(), &provision.DeleteOptions{Force: true})
		},
		"stop": func(g *provision.Guest) error {
			_, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
			return err
		},
		"start": func(g *provision.Guest) error {
			m.eventually("it is off", func() bool { return m.state(g) == provision.StateStopped })
			return g.Start(t.Context(), nil)
		},
	} {
		g := m.start(lxcrig.Spec("monitor-" + name))
		m.says(g, "BOOTED-OK")
		first := m.first(g)
		require.NoError(t, unix.Kill(m.monitor(g), unix.SIGKILL))
		m.eventually("the guest has ended with its monitor", func() bool { return ended(first) })
		require.NoError(t, next(g), name)
	}
	m.clean(before)
}
