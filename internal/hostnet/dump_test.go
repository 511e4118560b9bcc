//go:build linux

package hostnet

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The messages come from the kernel, of whatever version it is.
func FuzzMessages(f *testing.F) {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.ZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	f.Add(append(make([]byte, unix.SizeofIfInfomsg), info.Serialize()...))
	f.Add(append(make([]byte, unix.SizeofIfAddrmsg), nl.NewRtAttr(unix.IFA_LOCAL, []byte{192, 0, 2, 1}).Serialize()...))
	f.Add(nl.NewRtAttr(nl.TCA_TBF_PARMS, make([]byte, nl.SizeofTcTbfQopt)).Serialize())
	f.Add([]byte{0xff, 0xff, 0, 0})
	f.Add([]byte("\x1f\x0000000000000000000000000000000")) // an attribute whose padding is missing
	f.Fuzz(func(t *testing.T, msg []byte) {
		_, err := parseLink(msg)
		require.False(t, err == nil && len(msg) < unix.SizeofIfInfomsg)
		_, err = parseAddress(msg)
		require.False(t, err == nil && len(msg) < unix.SizeofIfAddrmsg)
		_, _ = parseTBF(msg)
		_ = comment(msg)
		device := func(int) string { return "x" }
		verdict, err := parseVerdict(msg, device)
		require.Contains(t, []string{"", "accept", "drop", `fwd to "x"`}, verdict)
		require.False(t, verdict != "" && err != nil)
		rs := ruleset{}
		for _, add := range []func([]byte) error{rs.addTable, rs.addChain, func(b []byte) error { return rs.addRule(b, device) }} {
			require.False(t, add(msg) == nil && len(msg) < nfgenSize)
		}
	})
}
