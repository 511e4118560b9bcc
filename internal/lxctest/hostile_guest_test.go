//go:build linux

package lxctest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// TestHostileGuests: what root in a guest does keeps nobody from stopping and
// removing it, and nothing of it is left.
func TestHostileGuests(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	m.reopen(lxc.Options{Timeout: time.Second})
	_, same := m.outside()
	for name, c := range map[string]struct {
		native lxc.Native
		script string
	}{
		"mounts over etc":   {lxc.Native{}, "mount -t tmpfs none /etc; mount -t tmpfs none /tmp; mount -t proc none /root"},
		"shared mounts":     {lxc.Native{Privileged: true}, "busybox mount --make-rshared / ; mount -t tmpfs none /etc; mkdir /a; mount --bind / /a"},
		"3000 groups":       {lxc.Native{Privileged: true, Nesting: true}, "mkdir /p; mount -t cgroup -o pids none /p; cd /p; mkdir $(seq 1 3000)"},
		"nested groups":     {lxc.Native{Privileged: true}, "mkdir /p; mount -t cgroup -o freezer none /p; cd /p; for i in 1 2 3; do mkdir a; cd a; sleep 1000 & echo $! >cgroup.procs; done; echo FROZEN >/p/a/freezer.state"},
		"deep directories":  {lxc.Native{}, "p=$(printf 'd/%.0s' $(seq 1000)); for i in 1 2 3; do mkdir -p $p; cd $p 2>/dev/null; done"},
		"strange names":     {lxc.Native{}, "mkdir /n; cd /n; touch -- -rf '*' ' ' \"$(printf 'a\\nb\\033[2J')\"; ln -s /n/x /n/x; ln -s ../../../../../.. /n/up; busybox mkfifo fifo"},
		"a busy root":       {lxc.Native{}, "exec 9>/busy; (cd /bin; sleep 1000) & (exec 8<fifo) & true"},
		"forks":             {lxc.Native{}, "(while :; do (while :; do sleep 0.01 & done) 2>/dev/null; done) & (while :; do sleep 0.01; done) & true"},
		"deaf":              {lxc.Native{Init: "/sbin/init deaf"}, "true"},
		"console flood":     {lxc.Native{}, "busybox yes 'a line that is written to the console of the guest' | head -c 12000000 >/dev/console"},
		"escapes":           {lxc.Native{}, "printf '\\033]0;title\\007\\033[2J\\000\\377\\n' >/dev/console"},
		"eth0 down":         {lxc.Native{}, "ip link set eth0 down; ip link set eth0 name other"},
		"eth0 gone":         {lxc.Native{}, "ip link delete eth0"},
		"eth0 elsewhere":    {lxc.Native{}, "busybox unshare -n sleep 1000 & sleep 0.2; ip link set eth0 netns $!"},
		"name of the peer":  {lxc.Native{}, "ip link set eth0 down; ip link set eth0 name veth-of-host; ip link add eth0 type veth peer name pv0123456789-0; ip link add br-test type bridge"},
		"user namespaces":   {lxc.Native{}, "busybox unshare -r -m sleep 1000 & true"},
		"kills everything":  {lxc.Native{}, "kill -9 -1"},
		"stops its init":    {lxc.Native{}, "kill -STOP 1; kill -STOP -1"},
		"changes its files": {lxc.Native{Privileged: true}, "rm -rf /etc /sbin /usr; ln -s /proc/1/root /etc"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{m.Host, t, m.path}
			s := lxcrig.Spec(strings.ReplaceAll(strings.Trim(strings.ToLower(name), "/"), " ", "-"))
			s.Native, s.Limits.Processes = &c.native, 100
			g := m.start(s)
			m.says(g, "BOOTED-OK")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			said, err := m.attach(ctx, g, c.script)
			t.Logf("%v %.200s", err, said)
			require.NoError(t, ctx.Err())
			_, err = g.Status(ctx)
			require.NoError(t, err)
			if m.Supports(provision.FeatureConsoleLog) == nil {
				_, err = g.ConsoleLog(ctx, 0)
				require.NoError(t, err)
			}
			start := time.Now()
			_, err = g.Stop(ctx, &provision.StopOptions{Grace: 100 * time.Millisecond})
			require.NoError(t, err)
			require.Equal(t, provision.StateStopped, m.state(g))
			require.NoError(t, g.Delete(ctx, nil))
			t.Logf("stopped and removed in %v", time.Since(start))
			require.Equal(t, before, m.leftovers())
			same(t)
		})
	}
}
