//go:build linux

package frames

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// mark begins the group address that the frames of tests go to, with a number behind
// it: what the kernels of guests say of their own accord goes elsewhere. Bridges give
// such frames to all, and cut off what is behind an IP packet.
var mark = []byte{0x03, 'p', 'r', 'o'}

func marked(frame []byte, number int) []byte {
	return slices.Concat(mark, be(uint16(number)), frame[6:])
}

// Wire is a packet socket of eth0 in a network namespace.
type Wire struct {
	tb testing.TB
	fd int
}

// Listen opens a Wire in the network namespace of the calling thread, and closes it
// when the test ends.
func Listen(tb testing.TB) *Wire {
	tb.Helper()
	w := &Wire{tb: tb}
	eth0, err := netlink.LinkByName("eth0")
	require.NoError(tb, err)
	w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(binary.NativeEndian.Uint16(be(unix.ETH_P_ALL))))
	require.NoError(tb, err)
	tb.Cleanup(func() { unix.Close(w.fd) })
	require.NoError(tb, unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(be(unix.ETH_P_ALL)), Ifindex: eth0.Attrs().Index}))
	require.NoError(tb, unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20))
	require.NoError(tb, unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1))
	w.patience(unix.Timeval{Sec: 10})
	return w
}

// patience is how long a frame is waited for.
func (w *Wire) patience(d unix.Timeval) {
	w.tb.Helper()
	require.NoError(w.tb, unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &d))
}

// Send sends a frame, marked with a number below 65535, to the group that tests
// listen to.
func (w *Wire) Send(frame []byte, number int) {
	w.tb.Helper()
	_, err := unix.Write(w.fd, marked(frame, number))
	require.NoError(w.tb, err)
}

// Reach sends a frame until it arrives: a bridge forwards some time after its ports
// have gone up.
func (w *Wire) Reach(to *Wire, frame []byte) {
	const hello = 0xffff
	to.patience(unix.Timeval{Usec: 20_000})
	defer to.patience(unix.Timeval{Sec: 10})
	for start := time.Now(); ; {
		w.Send(frame, hello)
		if _, err := to.next(); err == nil {
			return
		}
		require.Less(w.tb, time.Since(start), 20*time.Second, "nothing arrives")
	}
}

// next returns the number of the next marked frame.
func (w *Wire) next() (int, error) {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(w.fd, buf, 0)
		if err != nil {
			return 0, err
		}
		if bytes.HasPrefix(buf[:n], mark) {
			return int(binary.BigEndian.Uint16(buf[len(mark):])), nil
		}
	}
}

// Until returns the numbers of the marked frames that arrive before the last one.
func (w *Wire) Until(last int) map[int]bool {
	got := map[int]bool{}
	for {
		number, err := w.next()
		require.NoError(w.tb, err, "the last frame has not arrived")
		if number == last {
			return got
		}
		got[number] = true
	}
}

// OneCPU holds the calling thread on one processor.
func OneCPU(tb testing.TB) {
	tb.Helper()
	var all, one unix.CPUSet
	require.NoError(tb, unix.SchedGetaffinity(0, &all))
	for i := 0; one.Count() == 0; i++ {
		if all.IsSet(i) {
			one.Set(i)
		}
	}
	require.NoError(tb, unix.SchedSetaffinity(0, &one))
}
