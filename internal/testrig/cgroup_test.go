//go:build linux

package testrig_test

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/testrig"
)

// rigGroups lists the control groups that rigs of a process made.
func rigGroups(tb testing.TB, pid int) []string {
	tb.Helper()
	var list []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), fmt.Sprintf("testrig-%d-", pid)) {
			list = append(list, path)
		}
		return nil // others come and go
	})
	require.NoError(tb, err)
	return list
}

// A guest's limits reach the kernel, in groups of the rig that end with it.
func TestCgroups(t *testing.T) {
	l, _ := testrig.StartWith(t, &testrig.LibvirtOptions{Cgroups: true})
	require.NotEmpty(t, rigGroups(t, os.Getpid()))
	outside, err := filepath.Glob("/sys/fs/cgroup/*/machine")
	require.NoError(t, err)
	file := filepath.Join(l.Dir, "limited.xml")
	require.NoError(t, os.WriteFile(file, []byte(`<domain type='qemu'><name>limited</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
		<cputune><shares>512</shares><global_period>100000</global_period><global_quota>50000</global_quota></cputune>
		<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`), 0o600))
	_, err = l.Virsh(t.Context(), "create", file)
	require.NoError(t, err)
	out, err := l.Virsh(t.Context(), "schedinfo", "limited")
	require.NoError(t, err)
	require.Regexp(t, `cpu_shares +: 512\n`, out)
	require.Regexp(t, `global_quota +: 50000\n`, out)
	now, err := filepath.Glob("/sys/fs/cgroup/*/machine")
	require.NoError(t, err)
	require.Equal(t, outside, now, "no group is made outside")
	require.NoError(t, l.Restart(t.Context()))
	out, err = l.Virsh(t.Context(), "schedinfo", "limited")
	require.NoError(t, err)
	require.Regexp(t, `global_quota +: 50000\n`, out, "a daemon that is started again finds the groups")
	require.NoError(t, l.Stop())
	require.Empty(t, rigGroups(t, os.Getpid()))
	require.NoError(t, l.Stop(), "again")
}

// The groups end also when the starter is killed.
func TestCgroupsStarterKilled(t *testing.T) {
	testrig.Need(t)
	dir, err := os.MkdirTemp("", "rig")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), starterDir+"="+dir, starterGroups+"=1")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.NotEmpty(t, rigGroups(t, cmd.Process.Pid), line)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	eventually(t, "end of the groups", func() bool { return len(rigGroups(t, cmd.Process.Pid)) == 0 })
}
