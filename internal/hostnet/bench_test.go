//go:build linux

package hostnet

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/frames"
)

// benchLab is inLab for benchmarks, which must measure in f: others of their
// goroutines are not in the namespace.
func benchLab(b *testing.B, f func(*lab)) {
	onThread(b, func() {
		require.NoError(b, unix.Unshare(unix.CLONE_NEWNET))
		l := &lab{b}
		l.bridge("br0")
		f(l)
	})
}

// BenchmarkRead is what a list of 200 guests with rules and limits costs.
func BenchmarkRead(b *testing.B) {
	benchLab(b, func(l *lab) {
		var nics []NIC
		for i := range 200 {
			n := nicCases()["everything"]
			n.Guest, n.Index = fmt.Sprint("guest", i), 0
			require.NoError(b, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: n.Device()}, PeerName: fmt.Sprint("eth", i)}))
			l.upNIC(&n)
			nics = append(nics, n)
		}
		for b.Loop() {
			s, err := Read(b.Context())
			require.NoError(b, err)
			for i := range nics {
				for _, f := range s.Enforced(&nics[i]) {
					require.Equal(b, Enforced, f.Enforcement)
				}
			}
		}
	})
}

// BenchmarkLook visits 200 guests.
func BenchmarkLook(b *testing.B) {
	benchLab(b, func(l *lab) {
		var inits []Init
		for i := range 200 {
			ns := l.plug(Device(fmt.Sprint(i), 0), [6]byte{2, 5: byte(i)})
			l.command(ns, "ip addr add 192.0.2.10/24 dev eth0")
			inits = append(inits, l.process(ns))
		}
		for b.Loop() {
			got, err := Look(b.Context(), inits)
			require.NoError(b, err)
			require.Len(b, got[199].Interfaces, 1)
		}
	})
}

// BenchmarkRates sends by TCP for two seconds, from one guest to another.
func BenchmarkRates(b *testing.B) {
	for _, rate := range []uint64{0, 20_000_000, 100_000_000, 500_000_000} {
		for _, way := range []string{"in", "out"} {
			b.Run(fmt.Sprintf("%s/%dMbit", way, rate/1_000_000), func(b *testing.B) {
				benchLab(b, func(l *lab) {
					n := NIC{Guest: "a", Bridge: "br0", MAC: testMAC, AntiSpoof: true, Addresses: prefixes("192.0.2.10/24")}
					a, c := l.plug(n.Device(), n.MAC), l.plug("neighbour", frames.NeighbourMAC)
					from, to, addr := a, c, "192.0.2.66"
					if way == "in" {
						n.In, from, to, addr = rate, c, a, "192.0.2.10"
					} else {
						n.Out = rate
					}
					l.upNIC(&n)
					l.command(a, "ip addr add 192.0.2.10/24 dev eth0")
					l.command(c, "ip addr add 192.0.2.66/24 dev eth0")
					for b.Loop() {
						b.ReportMetric(l.throughput(from, to, addr, 2*time.Second), "Mbit/s")
					}
				})
			})
		}
	}
}

// throughput of TCP in Mbit/s, as the receiver sees it.
func (l *lab) throughput(from, to *os.File, addr string, d time.Duration) float64 {
	var server net.Listener
	var client net.Conn
	l.in(to, func() {
		var err error
		server, err = net.Listen("tcp4", ":7777")
		require.NoError(l.t, err)
	})
	defer server.Close()
	l.in(from, func() {
		var err error
		client, err = net.DialTimeout("tcp4", addr+":7777", 10*time.Second)
		require.NoError(l.t, err)
	})
	conn, err := server.Accept()
	require.NoError(l.t, err)
	defer conn.Close()
	go func() {
		defer client.Close()
		_ = client.SetDeadline(time.Now().Add(d))
		_, _ = io.Copy(client, zeros{})
	}()
	start := time.Now()
	count, err := io.Copy(io.Discard, conn)
	require.NoError(l.t, err)
	return float64(count) * 8 / 1e6 / time.Since(start).Seconds()
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
