//go:build linux

package lxc_test

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// frozenVar tells a child of the test which guest to freeze.
const frozenVar = "PROVISION_TEST_FREEZE"

// A process that is killed while it takes a snapshot does not leave the guest frozen.
func TestSnapshotKilled(t *testing.T) {
	if id := os.Getenv(frozenVar); id != "" {
		freezeForEver(t, os.Getenv(frozenVar+"_PATH"), provision.ID(id))
	}
	path := lxcrig.Machine(t)
	_, g := running(t, path, lxcrig.Spec("a"))
	child := exec.Command("/proc/self/exe", "-test.run", "^TestSnapshotKilled$")
	child.Env = append(os.Environ(), frozenVar+"="+string(g.ID()), frozenVar+"_PATH="+path)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "frozen\n", line)
	require.Equal(t, provision.StatePaused, status(t, g).State)
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	becomes(t, func() bool { return status(t, g).State == provision.StateRunning })
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}

func freezeForEver(t *testing.T, path string, id provision.ID) {
	b := lxcrig.New(path)
	_, err := b.Probe(t.Context())
	require.NoError(t, err)
	_ = lxc.WhileFrozen(t.Context(), b, id, func() error {
		_, _ = os.Stdout.WriteString("frozen\n")
		select {}
	})
}

// A guest that is on goes on afterwards, one that was paused stays so, and the size of
// an image file is what it is now, not what it was.
func TestSnapshotOfImage(t *testing.T) {
	path := lxcrig.Machine(t)
	before := lxcrig.Leftovers(t, path)
	s := lxcrig.Spec("a")
	s.Disks = []provision.Disk{{Size: 64 * provision.MiB}}
	_, g := running(t, path, s)
	inside(t, path, "a", "echo before >/mark; sync")
	kept, err := g.Snapshot(t.Context(), "kept", nil)
	require.NoError(t, err)
	require.Equal(t, provision.ConsistencyFrozen, kept.Consistency)
	require.NotZero(t, kept.Size)
	inside(t, path, "a", "echo after >/mark; sync")
	require.NoError(t, g.Pause(t.Context()))
	_, err = g.Snapshot(t.Context(), "paused", nil)
	require.NoError(t, err)
	require.Equal(t, provision.StatePaused, status(t, g).State)
	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)

	s.Disks = []provision.Disk{{Size: 128 * provision.MiB}}
	_, err = g.Resize(t.Context(), s, nil)
	require.NoError(t, err)
	for name, mark := range map[string]string{"kept": "before\n", "paused": "after\n"} {
		require.NoError(t, g.RestoreSnapshot(t.Context(), name, nil))
		require.Equal(t, 128*provision.MiB, status(t, g).Disks[0].Size)
		require.NoError(t, g.Start(t.Context(), nil))
		require.Equal(t, mark, inside(t, path, "a", "cat /mark"))
		_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
		require.NoError(t, err)
	}
	require.NoError(t, g.Delete(t.Context(), nil))
	require.Equal(t, before, lxcrig.Leftovers(t, path))
}

// A mount namespace of somebody else's holds the root: it can be neither grown nor
// restored, which is said before anything is begun, and the guest works on.
func TestRootHeldElsewhere(t *testing.T) {
	path := lxcrig.Machine(t)
	s := lxcrig.Spec("a")
	s.Disks = []provision.Disk{{Size: 64 * provision.MiB}}
	_, g := running(t, path, s)
	_, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	_, err = g.Snapshot(t.Context(), "kept", nil)
	require.NoError(t, err)
	holder := exec.CommandContext(t.Context(), "unshare", "-m", "--propagation", "private", "sh", "-c", "echo; exec sleep 60")
	out, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	_, err = out.Read(make([]byte, 1)) // the namespace is there
	require.NoError(t, err)

	require.ErrorIs(t, g.RestoreSnapshot(t.Context(), "kept", nil), provision.ErrBusy)
	require.NoError(t, g.Start(t.Context(), nil), "no restore has begun")
	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.NoError(t, holder.Process.Kill())
	require.Error(t, holder.Wait())
	require.NoError(t, g.RestoreSnapshot(t.Context(), "kept", nil))
	require.NoError(t, g.Delete(t.Context(), nil))
}
