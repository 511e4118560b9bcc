//go:build linux

package testrig_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/testrig"
)

// A program that is linked with libraries runs in a machine with control groups of
// version 2 alone, in a root that pivot_root takes, and its output and status come back.
func TestVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	findmnt, err := exec.LookPath("findmnt")
	require.NoError(t, err)
	out, err := (&testrig.VM{
		Argv: []string{"/bin/busybox", "sh", "-c", `echo "$A"; cat /sys/fs/cgroup/cgroup.controllers; findmnt -n -o FSTYPE,OPTIONS /sys/fs/cgroup; ls /sys/block/loop0/dev
			mkdir /n; unshare -m sh -c "mount -t tmpfs n /n; mkdir /n/o; cd /n; pivot_root . o && echo pivoted"; exit 7`},
		Env:   []string{"A=it's a test"},
		Files: map[string]string{"/usr/bin/findmnt": findmnt}, Modules: []string{"loop"},
	}).Run(ctx)
	require.ErrorContains(t, err, "status 7")
	require.Regexp(t, `^it's a test\ncpuset cpu io memory .*pids.*\ncgroup2 .*nsdelegate.*\n/sys/block/loop0/dev\npivoted\n$`, out)
}

func TestVMRefuses(t *testing.T) {
	for _, argv := range [][]string{nil, {"busybox"}, {"/absent"}} {
		_, err := (&testrig.VM{Argv: argv}).Run(t.Context())
		require.Error(t, err, "%q", argv)
	}
}
