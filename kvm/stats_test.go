package kvm

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// xdr writes a reply with statistics, as libvirtd does.
type xdr []byte

func (x *xdr) uint32(v uint32) { *x = binary.BigEndian.AppendUint32(*x, v) }

func (x *xdr) string(s string) {
	x.uint32(uint32(len(s)))
	*x = append(append(*x, s...), make([]byte, -len(s)&3)...)
}

func (x *xdr) stat(field string, value any) {
	x.string(field)
	switch v := value.(type) {
	case int32:
		x.uint32(1)
		x.uint32(uint32(v))
	case uint32:
		x.uint32(2)
		x.uint32(v)
	case int64:
		x.uint32(3)
		*x = binary.BigEndian.AppendUint64(*x, uint64(v))
	case uint64:
		x.uint32(4)
		*x = binary.BigEndian.AppendUint64(*x, v)
	case float64:
		x.uint32(5)
		*x = binary.BigEndian.AppendUint64(*x, math.Float64bits(v))
	case bool:
		x.uint32(6)
		x.uint32(1)
	case string:
		x.uint32(7)
		x.string(v)
	default:
		panic(fmt.Sprintf("a statistic of type %T", value))
	}
}

type entry struct {
	field string
	value any
}

// statsReply is the body of a reply about domains with the same statistics.
func statsReply(domains int, list []entry) string {
	var x xdr
	x.uint32(uint32(domains))
	for i := range domains {
		x.string(fmt.Sprintf("d%d", i))
		x = append(x, make([]byte, 15)...)
		x = append(x, byte(i))
		x.uint32(uint32(i - 1)) // the first is off
		x.uint32(uint32(len(list)))
		for _, e := range list {
			x.stat(e.field, e.value)
		}
	}
	return string(x)
}

func TestUnpackStats(t *testing.T) {
	body := statsReply(3, []entry{
		{"a", int32(-5)}, {"bb", uint32(5)}, {"ccc", int64(-6)}, {"dddd", uint64(1 << 63)}, {"e", 1.5}, {"f", true}, {"g", "text"}, {"", ""},
	})
	want := []stat{
		{"a", math.MaxUint64 - 4, ""}, {"bb", 5, ""}, {"ccc", math.MaxUint64 - 5, ""}, {"dddd", 1 << 63, ""},
		{"e", math.Float64bits(1.5), ""}, {"f", 1, ""}, {"g", 0, "text"}, {},
	}
	var doms []libvirt.Domain
	read := func(body string) error {
		return unpackStats(body, func(d libvirt.Domain, stats []stat) {
			doms = append(doms, d)
			require.Empty(t, cmp.Diff(want, stats, cmp.AllowUnexported(stat{})))
		})
	}
	require.NoError(t, read(body))
	require.Equal(t, []libvirt.Domain{{Name: "d0", ID: -1}, {Name: "d1", UUID: libvirt.UUID{15: 1}}, {Name: "d2", UUID: libvirt.UUID{15: 2}, ID: 1}}, doms)
	for n := range len(body) {
		require.ErrorIs(t, read(body[:n]), errBadStats, "cut off after %d bytes", n)
	}
	require.ErrorIs(t, read(body+"more"), errBadStats)
	require.ErrorIs(t, read(strings.Repeat("\xff", 64)), errBadStats)
	unknown := strings.Replace(body, "\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x01", "\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x09", 1)
	require.NotEqual(t, body, unknown)
	require.ErrorIs(t, read(unknown), errBadStats, "a type that is not known")
	require.NoError(t, unpackStats("\x00\x00\x00\x00", nil), "no domains")
}

// FuzzUnpackStats: no reply makes the reader panic, or see more than there is.
func FuzzUnpackStats(f *testing.F) {
	f.Add(statsReply(2, []entry{{"cpu.time", uint64(5)}, {"block.0.name", "vda"}}))
	f.Add("\xff\xff\xff\xff")
	f.Fuzz(func(t *testing.T, body string) {
		bytes := 0
		_ = unpackStats(body, func(d libvirt.Domain, stats []stat) {
			bytes += len(d.Name)
			for _, s := range stats {
				bytes += len(s.field) + len(s.text)
			}
			u := usageOf(testID, d.ID, stats, noAnswer)
			_, err := u.MarshalJSON()
			require.NoError(t, err)
		})
		require.LessOrEqual(t, bytes, len(body))
	})
}

// running is what libvirt 9.0 tells of a guest with a root disk, a seed, a data
// disk and two NICs, one of a kind that it does not count.
func runningStats() []entry {
	list := []entry{
		{"cpu.time", uint64(4e9)}, {"cpu.user", uint64(3e9)}, {"balloon.current", uint64(98304)}, {"balloon.available", uint64(62016)},
		{"balloon.usable", uint64(38240)}, {"balloon.unused", uint64(31496)}, {"balloon.rss", uint64(179244)},
		{"net.count", uint32(2)}, {"net.0.name", "tap0"}, {"net.0.rx.bytes", uint64(1)}, {"net.0.rx.pkts", uint64(2)}, {"net.0.rx.errs", uint64(9)},
		{"net.0.rx.drop", uint64(3)}, {"net.0.tx.bytes", uint64(4)}, {"net.0.tx.pkts", uint64(5)}, {"net.0.tx.drop", uint64(6)}, {"block.count", uint32(3)},
	}
	for i, name := range []string{".root.qcow2", ".seed.img", ".data"} {
		at := fmt.Sprintf("block.%d.", i)
		list = append(list, entry{at + "name", fmt.Sprintf("vd%c", 'a'+i)}, entry{at + "path", "/pool/" + string(testID) + name},
			entry{at + "rd.reqs", uint64(10 + i)}, entry{at + "rd.bytes", uint64(20 + i)}, entry{at + "wr.reqs", uint64(30 + i)}, entry{at + "wr.bytes", uint64(40 + i)},
			entry{at + "allocation", uint64(0)}, entry{at + "capacity", uint64(1 << 30)}, entry{at + "physical", uint64(200704)})
	}
	return append(list, entry{"net.1.name", "vnet9"})
}

func without(list []entry, prefixes ...string) (rest []entry) {
	for _, e := range list {
		keep := true
		for _, p := range prefixes {
			keep = keep && !strings.HasPrefix(e.field, p)
		}
		if keep {
			rest = append(rest, e)
		}
	}
	return rest
}

func TestUsageOf(t *testing.T) {
	disk := func(target string, i uint64) provision.DiskUsage {
		return provision.DiskUsage{Target: target, Read: provision.Bytes(20 + i), Written: provision.Bytes(40 + i), Reads: 10 + i, Writes: 30 + i, Allocated: 200704}
	}
	uncounted := provision.Unread{Path: "nics[1]", Reason: "libvirt does not count what goes through a NIC of this kind"}
	full := func() provision.Usage {
		return provision.Usage{
			Run: "5", CPU: 4 * time.Second, Memory: provision.MemoryUsage{Host: 179244 * provision.KiB, Guest: (62016 - 38240) * provision.KiB},
			Disks:  []provision.DiskUsage{disk("vda", 0), disk("vdc", 2)},
			NICs:   []provision.NICUsage{{Device: "tap0", In: 1, PacketsIn: 2, DropsIn: 3, Out: 4, PacketsOut: 5, DropsOut: 6}, {Device: "vnet9"}},
			Unread: []provision.Unread{uncounted},
		}
	}
	hung := full()
	hung.Memory = provision.MemoryUsage{}
	hung.Disks = []provision.DiskUsage{{Target: "vda"}, {Target: "vdc"}}
	hung.Unread = []provision.Unread{{Path: "memory", Reason: "why"}, uncounted, {Path: "disks[0]", Reason: "why"}, {Path: "disks[0].allocated", Reason: "why"},
		{Path: "disks[1]", Reason: "why"}, {Path: "disks[1].allocated", Reason: "why"}}
	given := provision.Usage{Run: "5", NICs: full().NICs, Unread: []provision.Unread{{Path: "cpu", Reason: "why"}, {Path: "memory", Reason: "why"}, uncounted, {Path: "disks", Reason: "why"}}}
	noBalloon := full()
	noBalloon.Memory.Guest = 0
	noBalloon.Unread = []provision.Unread{{Path: "memory.guest", Reason: "its balloon driver does not tell; there may be none, or it has not begun yet"}, uncounted}
	oldBalloon := full()
	oldBalloon.Memory.Guest = (62016 - 31496) * provision.KiB
	off := []entry{{"cpu.time", uint64(320e6)}, {"block.count", uint32(1)}, {"block.0.name", "vda"}, {"block.0.path", "/pool/x"},
		{"block.0.allocation", uint64(4096)}, {"block.0.capacity", uint64(1 << 30)}, {"block.0.physical", uint64(196616)}}
	for _, c := range []struct {
		name string
		run  int32
		list []entry
		want provision.Usage
	}{
		{"all is told", 5, runningStats(), full()},
		{"QEMU does not answer", 5, without(runningStats(), "balloon.a", "balloon.u", "balloon.r", "block.0.rd", "block.0.wr", "block.0.a", "block.0.cap", "block.0.ph",
			"block.2.rd", "block.2.wr", "block.2.a", "block.2.cap", "block.2.ph"), hung},
		{"QEMU was not asked", 5, without(runningStats(), "cpu", "balloon", "block"), given},
		{"no balloon driver", 5, without(runningStats(), "balloon.a", "balloon.u"), noBalloon},
		{"an old balloon driver", 5, without(runningStats(), "balloon.usable"), oldBalloon},
		{"off", -1, off, provision.Usage{Disks: []provision.DiskUsage{{Target: "vda", Allocated: 4096}}}},
		{"off, its file cannot be seen", -1, without(off, "block.0.a", "block.0.ph"), provision.Usage{Disks: []provision.DiskUsage{{Target: "vda"}},
			Unread: []provision.Unread{{Path: "disks[0].allocated", Reason: "libvirt cannot look at what the disk is kept in"}}}},
		{"strange indices", -1, []entry{{"block.count", uint32(1)}, {"block.99999.name", "x"}, {"block.1024.name", "x"}, {"block.-1.name", "x"}, {"block..name", "x"}, {"block.0", "x"}, {"net.x.name", "x"}}, provision.Usage{}},
	} {
		require.NoError(t, unpackStats(statsReply(1, c.list), func(_ libvirt.Domain, stats []stat) {
			require.Empty(t, cmp.Diff(c.want, usageOf(testID, c.run, stats, "why")), c.name)
		}))
	}
}

// BenchmarkUsage reads the reply about a thousand guests that are on.
func BenchmarkUsage(b *testing.B) {
	body := statsReply(1000, runningStats())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		require.NoError(b, unpackStats(body, func(_ libvirt.Domain, stats []stat) {
			n += len(usageOf(testID, 5, stats, noAnswer).NICs)
		}))
		require.Equal(b, 2000, n)
	}
}
