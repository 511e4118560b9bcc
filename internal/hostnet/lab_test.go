//go:build linux

package hostnet

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/frames"
)

// lab is a host of its own: a network namespace with a bridge, on the calling thread.
type lab struct {
	t testing.TB
}

// inLab runs f in a new network namespace, on a thread that ends with it.
func inLab(t *testing.T, f func(*lab)) {
	t.Parallel()
	onThread(t, func() {
		require.NoError(t, unix.Unshare(unix.CLONE_NEWNET))
		l := &lab{t}
		l.bridge("br0")
		f(l)
	})
}

// onThread is onOwnThread for functions that may end their goroutine.
func onThread(t testing.TB, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			onThread(t, f)
			return
		}
		f()
	}()
	<-done
	if t.Failed() {
		t.FailNow()
	}
}

func (l *lab) bridge(name string) {
	require.NoError(l.t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}))
	l.up(name)
}

func (l *lab) up(name string) {
	link, err := netlink.LinkByName(name)
	require.NoError(l.t, err)
	require.NoError(l.t, netlink.LinkSetUp(link))
}

// namespace returns a new one, which lasts as long as the file or a process in it.
func (l *lab) namespace() *os.File {
	var ns *os.File
	onThread(l.t, func() {
		require.NoError(l.t, unix.Unshare(unix.CLONE_NEWNET))
		var err error
		ns, err = os.Open("/proc/thread-self/ns/net")
		require.NoError(l.t, err)
	})
	l.t.Cleanup(func() { ns.Close() })
	return ns
}

// in runs f inside of a namespace.
func (l *lab) in(ns *os.File, f func()) {
	onThread(l.t, func() {
		require.NoError(l.t, unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET))
		f()
	})
}

// plug makes a veth whose other end is eth0 of a new namespace, as a container's
// start does, and puts it up at both ends.
func (l *lab) plug(device string, mac [6]byte) *os.File {
	ns := l.namespace()
	l.plugInto(ns, device, mac)
	return ns
}

func (l *lab) plugInto(ns *os.File, device string, mac [6]byte) {
	br, err := netlink.LinkByName("br0")
	require.NoError(l.t, err)
	require.NoError(l.t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: device, MasterIndex: br.Attrs().Index},
		PeerName:  "eth0", PeerHardwareAddr: net.HardwareAddr(mac[:]), PeerNamespace: netlink.NsFd(int(ns.Fd())),
	}))
	l.up(device)
	l.in(ns, func() { l.up("eth0") })
}

// sh runs a fragment as the hook script of a guest does.
func (l *lab) sh(fragment string) (said string, err error) {
	cmd := exec.Command("/bin/sh")
	cmd.Env = []string{}
	cmd.Stdin = strings.NewReader("set -eu\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n" + Prelude + fragment)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (l *lab) run(fragment string, err error) {
	l.t.Helper()
	require.NoError(l.t, err)
	said, err := l.sh(fragment)
	require.NoError(l.t, err, "%s\n%s", said, fragment)
	require.Empty(l.t, said)
}

func (l *lab) upNIC(n *NIC) {
	l.t.Helper()
	l.run(n.Up())
}

func (l *lab) read() *State {
	l.t.Helper()
	s, err := Read(l.t.Context())
	require.NoError(l.t, err)
	require.NoError(l.t, s.noRules)
	return s
}

// dump is all that the namespace has of rules, queues and ports, without what counts or
// changes by itself.
func (l *lab) dump() string {
	l.t.Helper()
	cmd := exec.Command("/bin/sh", "-euc", `nft -s list ruleset; tc qdisc show; ip -o link show | sed 's/<.*> //; s/ state [A-Z]*//; s/ group .*//'; bridge -d link show | grep -o 'isolated [a-z]*' || :`)
	out, err := cmd.CombinedOutput()
	require.NoError(l.t, err, string(out))
	return string(out)
}

// wire listens at eth0 of a guest.
func (l *lab) wire(ns *os.File) *frames.Wire {
	var w *frames.Wire
	l.in(ns, func() { w = frames.Listen(l.t) })
	return w
}
