//go:build linux

package lxctest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/lxc"
)

// neighbours are two guests of one host: one does its worst, and the other is to
// answer all the while.
type neighbours struct {
	*machine
	noisy, quiet *provision.Guest
}

// answers asks the quiet guest and the host, and returns how long both took.
func (n *neighbours) answers() (guest, host time.Duration) {
	n.t.Helper()
	start := time.Now()
	require.Equal(n.t, "here", n.inside(n.quiet, "echo here >/said && sync /said && cat /said"))
	guest = time.Since(start)
	start = time.Now()
	require.Equal(n.t, provision.StateRunning, n.state(n.noisy))
	require.NoError(n.t, os.WriteFile(filepath.Join(n.path, ".host"), []byte("here"), 0o600))
	return guest, time.Since(start)
}

// noise runs a script in the noisy guest. The neighbours are asked until it ends, or
// until enough says so.
func (n *neighbours) noise(script string, enough func() bool) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	said := make(chan string, 1)
	go func() {
		out, _ := n.attach(ctx, n.noisy, script) // it is killed, or runs into its limit
		said <- out
	}()
	var slowest, slowestHost time.Duration
	defer func() {
		n.t.Logf("the slowest answers: of the other guest in %v, of the host in %v", slowest, slowestHost)
		require.Less(n.t, max(slowest, slowestHost), 10*time.Second)
	}()
	for {
		guest, host := n.answers()
		slowest, slowestHost = max(slowest, guest), max(slowestHost, host)
		select {
		case out := <-said:
			if enough == nil || enough() {
				return out
			}
			require.NoError(n.t, ctx.Err(), "the limit was not reached")
			said <- out
		default:
			if enough != nil && enough() {
				return ""
			}
		}
	}
}

func noisySpec(name string) provision.Spec { return spec(name, lxc.Native{}) }

func TestNoisyNeighbours(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	quiet := m.start(noisySpec("quiet"))
	for name, c := range map[string]struct {
		change func(*provision.Spec)
		act    func(*neighbours)
	}{
		"forks":     {func(s *provision.Spec) { s.Limits.Processes = 40 }, (*neighbours).forkBomb},
		"memory":    {func(*provision.Spec) {}, (*neighbours).memoryHog},
		"inodes":    {func(s *provision.Spec) { s.Disks = []provision.Disk{{Size: 64 * provision.MiB, Inodes: 4096}} }, (*neighbours).inodeFiller},
		"disk":      {func(s *provision.Spec) { s.Disks = []provision.Disk{{Size: 64 * provision.MiB}} }, (*neighbours).diskFiller},
		"transfers": {func(s *provision.Spec) { s.Disks = []provision.Disk{{BPS: floodBPS}} }, (*neighbours).flood},
	} {
		t.Run(name, func(t *testing.T) {
			s := noisySpec("noisy-" + name)
			s.CPU.Limit = 0.5
			c.change(&s)
			m := &machine{m.Host, t, m.path}
			g := m.start(s)
			c.act(&neighbours{m, g, quiet})
			require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
		})
	}
	m.clean(before)
}

func (n *neighbours) forkBomb() {
	const limit = 40
	var most, refused int
	n.noise("while :; do sh -c 'while :; do sleep 1000 & done'; done; sleep 1000", func() bool {
		most = max(most, n.number(n.group("pids", n.noisy, "guest", "pids.current")))
		_, err := fmt.Sscanf(n.read(n.group("pids", n.noisy, "guest", "ns", "pids.events")), "max %d", &refused)
		require.NoError(n.t, err)
		return refused > 0 && most > limit-5
	})
	n.t.Logf("limit %d, at most %d processes were seen, and %d forks failed", limit, most, refused)
	require.Equal(n.t, limit, n.number(n.group("pids", n.noisy, "guest", "pids.max")))
	require.LessOrEqual(n.t, most, limit)
}

func (n *neighbours) memoryHog() {
	said := n.noise("dd if=/dev/zero of=/dev/null bs=200M count=1; echo ended with $?", nil)
	require.Contains(n.t, said, "ended with 137", "killed by SIGKILL")
	killed := 0
	for _, part := range []string{"guest", "guest/ns"} {
		for line := range strings.Lines(n.read(n.group("memory", n.noisy, part, "memory.oom_control"))) {
			var times int
			if _, err := fmt.Sscanf(line, "oom_kill %d", &times); err == nil {
				killed += times
			}
		}
	}
	most, limit := n.number(n.group("memory", n.noisy, "guest", "memory.max_usage_in_bytes")), n.number(n.group("memory", n.noisy, "guest", "memory.limit_in_bytes"))
	n.t.Logf("limit %d bytes, at most %d used, oom_kill %d", limit, most, killed)
	require.Equal(n.t, 64<<20, limit)
	require.LessOrEqual(n.t, most, limit)
	require.Positive(n.t, killed)
	require.Equal(n.t, provision.StateRunning, n.state(n.noisy), "what was killed is the hog, not the guest")
}

func (n *neighbours) inodeFiller() {
	said := n.noise("mkdir /full; cd /full; i=0; while echo >f$i; do i=$((i+1)); done; echo made $i; df -i /", nil)
	n.t.Log(said)
	require.Contains(n.t, said, "No space left on device")
	var made int
	_, err := fmt.Sscanf(said[strings.Index(said, "made"):], "made %d", &made)
	require.NoError(n.t, err)
	require.Less(n.t, made, 4096+64, "a table of inodes is filled up to whole blocks")
	require.Contains(n.t, said, "100%")
}

func (n *neighbours) diskFiller() {
	said := n.noise("dd if=/dev/zero of=/big bs=1M; df -k /", nil)
	n.t.Log(said)
	require.Contains(n.t, said, "No space left on device")
	var image unix.Stat_t
	require.NoError(n.t, unix.Stat(filepath.Join(n.path, n.noisy.Name(), "root.img"), &image))
	n.t.Logf("the image file takes %d bytes of the host's disk", image.Blocks*512)
	require.LessOrEqual(n.t, image.Blocks*512, int64(64<<20))
}

// floodBPS is how much the flood may write a second.
const floodBPS = 4 * provision.MiB

func (n *neighbours) flood() {
	const bytes = 6 << 20
	start := time.Now()
	said := n.noise(fmt.Sprintf("dd if=/dev/zero of=/flood bs=64k count=%d oflag=direct", bytes/(64<<10)), nil)
	took := time.Since(start)
	rate := float64(bytes) / took.Seconds()
	n.t.Logf("%d bytes in %v: %.0f bytes/s, and the limit is %d\n%s", bytes, took, rate, floodBPS, said)
	require.Contains(n.t, said, "records out")
	// The kernel lets the first slice of a tenth of a second pass.
	require.Less(n.t, rate, 1.2*float64(floodBPS))
	served := n.read(n.group("blkio", n.noisy, "guest", "ns", "blkio.throttle.io_service_bytes"))
	require.Contains(n.t, served, "Write", served)
}
