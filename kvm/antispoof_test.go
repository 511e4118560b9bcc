//go:build linux

package kvm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
)

// addProbe plugs another machine into a bridge, and listens there.
func addProbe(t *testing.T, rig *testrig.Libvirt, bridge string) *testrig.Capture {
	t.Helper()
	for _, args := range []string{"link add probe0 type veth peer name probe1", "link set probe0 master " + bridge + " up", "link set probe1 up"} {
		_, err := rig.Inside(t.Context(), "ip", strings.Fields(args)...)
		require.NoError(t, err)
	}
	return capture(t, rig, "probe1")
}

func capture(t *testing.T, rig *testrig.Libvirt, device string) *testrig.Capture {
	t.Helper()
	c, err := rig.Capture(device)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// marked makes a frame known again: by the identification of IPv4, the flow label
// of IPv6 and, of all others, by its last bytes. Behind what IP counts a bridge may
// cut a frame.
func marked(frame []byte, nic, n int) []byte {
	frame = slices.Clone(frame)
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x800:
		head := frame[14:34]
		head[4], head[5], head[10], head[11] = 0xc0|byte(nic), byte(n), 0, 0
		copy(head[10:], checksum(head))
		return frame
	case 0x86dd:
		frame[15], frame[16], frame[17] = 0x0c, 0xd0|byte(nic), byte(n)
		return frame
	}
	frame = append(frame, make([]byte, max(0, 60-len(frame)))...)
	return append(frame, 0xc0, 0xde, byte(nic), byte(n))
}

// markOf finds the mark of a frame again.
func markOf(frame []byte, nic int) (n int, ok bool) {
	end := len(frame)
	switch kind := binary.BigEndian.Uint16(frame[12:]); {
	case kind == 0x800 && end > 34:
		return int(frame[19]), frame[18] == 0xc0|byte(nic)
	case kind == 0x86dd && end > 54:
		return int(frame[17]), frame[15] == 0x0c && frame[16] == 0xd0|byte(nic)
	}
	return int(frame[end-1]), bytes.Equal(frame[end-4:end-1], []byte{0xc0, 0xde, byte(nic)})
}

// sent sends frames by a NIC, and then one that passes everywhere, and returns
// which arrive before that one.
func sent(t *testing.T, sh *shell, c *testrig.Capture, nic int, last []byte, frames [][]byte) map[int]bool {
	t.Helper()
	const end = 255
	seen := map[int]bool{}
	for first := 0; first < len(frames); first += 8 {
		var commands []string
		for i, f := range frames[first:min(first+8, len(frames))] {
			commands = append(commands, testrig.SendCommand(2+nic, marked(f, nic, first+i)))
		}
		commands = append(commands, testrig.SendCommand(2+nic, marked(last, nic, end)))
		require.Equal(t, "0", sh.run(t, strings.Join(commands, " && ")))
		for deadline := time.Now().Add(time.Minute); ; {
			have, err := c.Next(deadline)
			require.NoError(t, err, "the last frame of a batch did not arrive")
			i, ok := markOf(have, nic)
			if !ok {
				continue
			}
			if i == end {
				break
			}
			require.Equal(t, marked(frames[i], nic, i), have, "a frame arrives as it was sent")
			seen[i] = true
		}
	}
	return seen
}

// TestAntiSpoof sends real frames from a real guest, and looks on another port of
// the bridge at which arrive.
func TestAntiSpoof(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("tenant")
	kinds := "d4mo"
	s.NICs = nil
	var senders []sender
	for i := range kinds {
		n := provision.NIC{Bridge: "br0", MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, byte(i)}}
		v4, second, v6 := fmt.Sprintf("192.0.2.%d", 10+i), fmt.Sprintf("192.0.2.%d", 20+i), fmt.Sprintf("2001:db8::%d", 10+i)
		senders = append(senders, sender{hw(n.MAC), v4, second, v6, fmt.Sprintf("fe80::5054:ff:fea1:b20%d", i)})
		if kinds[i] == 'd' || kinds[i] == '4' {
			n.Addresses = []netip.Prefix{netip.MustParsePrefix(v4 + "/24"), netip.MustParsePrefix(second + "/24")}
		}
		if kinds[i] == 'd' {
			n.Addresses = append(n.Addresses, netip.MustParsePrefix(v6+"/64"))
		}
		if kinds[i] == 'o' {
			n.AntiSpoof = provision.Off
		}
		s.NICs = append(s.NICs, n)
	}
	begin := time.Now()
	g := bootedGuest(t, h, s)
	t.Logf("create, start and boot took %v", time.Since(begin).Round(time.Millisecond))
	text, err := g.ConsoleLog(t.Context(), 0)
	require.NoError(t, err)
	for i, n := range s.NICs {
		require.Contains(t, string(text), fmt.Sprintf("nic=eth%d mac=%s", i, n.MAC))
	}

	sh, probe := openShell(t, rig, g), addProbe(t, rig, "br0")
	table := &strings.Builder{}
	fmt.Fprintf(table, "%-60s %-9s %-9s %-9s %s\n", "frame", "IPv4+IPv6", "IPv4", "no addr.", "filter off")
	seen := make([]map[int]bool, len(senders))
	for i, from := range senders {
		cases := spoofCases(from)
		var frames [][]byte
		for _, c := range cases {
			frames = append(frames, c.frame)
		}
		seen[i] = sent(t, sh, probe, i, cases[0].frame, frames)
	}
	var wrong []string
	for n, c := range spoofCases(senders[0]) {
		fmt.Fprintf(table, "%-60s", c.name)
		for i := range senders {
			verdict := map[bool]string{true: "arrives", false: "-"}[seen[i][n]]
			if want := strings.Contains(c.pass, kinds[i:i+1]); want != seen[i][n] {
				wrong = append(wrong, fmt.Sprintf("%s (%c)", c.name, kinds[i]))
				verdict += " !"
			}
			fmt.Fprintf(table, " %-9s", verdict)
		}
		table.WriteString("\n")
	}
	t.Log("\n" + table.String())
	require.Empty(t, wrong, "not as expected")
}
