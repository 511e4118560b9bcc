//go:build linux

package hostnet

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/frames"
)

// process starts one in a namespace, which lasts as long as the test.
func (l *lab) process(ns *os.File) Init {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	require.NoError(l.t, err)
	l.in(ns, func() { require.NoError(l.t, cmd.Start()) })
	l.t.Cleanup(func() {
		in.Close()
		require.NoError(l.t, cmd.Wait())
	})
	started, err := startTime(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "stat"))
	require.NoError(l.t, err)
	require.NotZero(l.t, started)
	return Init{cmd.Process.Pid, started}
}

func (l *lab) command(ns *os.File, text string) {
	l.in(ns, func() {
		out, err := exec.Command("/bin/sh", "-euc", text).CombinedOutput()
		require.NoError(l.t, err, string(out))
	})
}

func TestLook(t *testing.T) {
	inLab(t, func(l *lab) {
		a, b := l.plug(Device("a", 0), testMAC), l.plug(Device("b", 0), frames.NeighbourMAC)
		l.command(a, "ip link set lo up; ip addr add 192.0.2.10/24 dev eth0; ip addr add 169.254.1.1/16 dev eth0; ip -6 addr add 2001:db8::10/64 dev eth0 nodad")
		l.command(b, "ip link set eth0 address 02:00:00:00:00:09; ip link set eth0 name net0; ip link set net0 up; i=0; while [ $i -lt 600 ]; do echo addr add 10.0.$((i / 200)).$((i % 200 + 1))/32 dev net0; i=$((i + 1)); done | ip -batch -")
		inits := []Init{l.process(a), l.process(b), l.process(a), {PID: os.Getpid()}, {PID: 1 << 30}}
		inits[2].Started++
		before, err := os.Stat("/proc/self/ns/net")
		require.NoError(t, err)

		got, err := Look(t.Context(), inits)
		require.NoError(t, err)
		require.Len(t, got, len(inits))
		require.NoError(t, got[0].Err)
		require.Len(t, got[0].Interfaces, 1)
		nic := got[0].Interfaces[0]
		require.Equal(t, "eth0", nic.Name)
		require.Equal(t, testMAC, nic.MAC)
		require.Equal(t, 1500, nic.MTU)
		require.True(t, nic.Up)
		local := map[string]bool{}
		for _, a := range nic.Addresses {
			local[a.Prefix.String()] = a.LinkLocal
		}
		require.Equal(t, map[string]bool{"192.0.2.10/24": false, "169.254.1.1/16": true, "2001:db8::10/64": false, "fe80::5054:ff:fe01:203/64": true}, local)

		require.NoError(t, got[1].Err)
		require.True(t, got[1].Truncated, "600 addresses")
		require.Equal(t, "net0", got[1].Interfaces[0].Name)
		require.Equal(t, [6]byte{2, 0, 0, 0, 0, 9}, got[1].Interfaces[0].MAC)
		require.Len(t, got[1].Interfaces[0].Addresses, maxAddrs)

		require.ErrorIs(t, got[2].Err, ErrGone, "another process has the number")
		require.ErrorIs(t, got[3].Err, ErrNotInside)
		require.ErrorIs(t, got[4].Err, ErrGone)

		after, err := os.Stat("/proc/self/ns/net")
		require.NoError(t, err)
		require.True(t, os.SameFile(before, after), "the process itself stays where it was")
	})
}

func TestLookEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Look(ctx, []Init{{PID: os.Getpid()}})
	require.ErrorIs(t, err, context.Canceled)
	_, err = Read(ctx)
	require.ErrorIs(t, err, context.Canceled)
	got, err := Look(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

// Threads that were in other namespaces end.
func TestThreadsEnd(t *testing.T) {
	inLab(t, func(l *lab) {
		init := l.process(l.plug(Device("a", 0), testMAC))
		var first int
		for i := range 30 {
			_, err := Look(t.Context(), []Init{init})
			require.NoError(t, err)
			list, err := os.ReadDir("/proc/self/task")
			require.NoError(t, err)
			if i == 0 {
				first = len(list)
			}
			require.Less(t, len(list), first+25, "other tests have threads too")
		}
		require.NoError(t, onOwnThread(func() error {
			require.NotEqual(t, unix.Getpid(), unix.Gettid())
			return nil
		}))
	})
}

// What the guest receives is what the host's side sends.
func TestCounters(t *testing.T) {
	inLab(t, func(l *lab) {
		n := NIC{Guest: "a", Bridge: "br0", MAC: testMAC}
		a := l.plug(n.Device(), n.MAC)
		from, to := l.wire(l.plug("neighbour", frames.NeighbourMAC)), l.wire(a)
		frame := frames.Unknown(frames.NeighbourMAC, 986)
		from.Reach(to, frame)
		before, ok := l.read().Counters(&n)
		require.True(t, ok)
		for range 1000 {
			from.Send(frame, 1)
		}
		from.Send(frame, 2)
		to.Until(2)
		after, _ := l.read().Counters(&n)
		require.Greater(t, after.RxBytes-before.RxBytes, uint64(1_000_000))
		require.Less(t, after.RxBytes-before.RxBytes, uint64(1_100_000))
		require.Less(t, after.TxBytes-before.TxBytes, uint64(100_000))
		inside, err := Look(t.Context(), []Init{l.process(a)})
		require.NoError(t, err)
		require.GreaterOrEqual(t, inside[0].Interfaces[0].Counters.RxBytes, after.RxBytes)
		_, ok = l.read().Counters(&NIC{Guest: "b"})
		require.False(t, ok)
	})
}
