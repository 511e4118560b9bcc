package kvm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/golden"
)

var lvmPool = &pool{name: "vg0", kind: "logical", dir: "/dev/vg0", fit: fitFor("logical", 0), files: testPool}

// A domain with disks in LVM, and all else in a pool of files.
func TestDomainOnBlockDevices(t *testing.T) {
	s := specs()["data-disks"]
	text, err := domainxml.Build(New(nil).domain(&provision.NewGuest{ID: testID, Spec: s}, lvmPool, false))
	require.NoError(t, err)
	golden.Check(t, "lvm.xml", string(text))
	inv, err := domainxml.Read(text)
	require.NoError(t, err)
	for i, d := range inv.Disks[:3] {
		require.Equal(t, "block", d.Type)
		require.Equal(t, "raw", d.Format)
		require.Equal(t, fmt.Sprintf("/dev/vg0/%s.%s", testID, serial(i)), d.Source)
	}
	require.Equal(t, "file", inv.Disks[3].Type)
	require.Equal(t, "/var/lib/libvirt/images/"+consoleName(testID), inv.Console)
}

func TestPoolTypesSayWhatToDo(t *testing.T) {
	supported := []string{"dir", "fs", "netfs", "logical"}
	// All of libvirt 9.0, from storagepool.rng.
	for _, kind := range []string{"dir", "fs", "netfs", "logical", "disk", "iscsi", "iscsi-direct", "scsi", "mpath", "rbd", "sheepdog", "gluster", "zfs", "vstorage"} {
		why, known := poolTypes[kind]
		require.True(t, known, kind)
		require.Equal(t, slices.Contains(supported, kind), why == "", kind)
		if why != "" {
			require.Contains(t, why, "use ", kind)
		}
	}
	require.Len(t, poolTypes, 14)
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		kind string
		fs   int64
		n    Native
		want fit
	}{
		{"dir", 0, Native{}, fit{"none", ""}},
		{"dir", 0xef53, Native{}, fit{"none", ""}},
		{"netfs", 0x6969, Native{}, fit{"none", ""}},
		{"logical", 0, Native{}, fit{"none", "native"}},
		{"dir", 0x9123683e, Native{}, fit{"writeback", "threads"}},
		{"fs", 0x2fc12fc1, Native{}, fit{"writeback", "threads"}},
		{"dir", 0x01021994, Native{}, fit{"writeback", "threads"}},
		{"dir", 0x9123683e, Native{DiskCache: "none"}, fit{"none", "threads"}},
		{"dir", 0x9123683e, Native{DiskIO: "native"}, fit{"none", "native"}},
		{"dir", 0, Native{DiskCache: "directsync", DiskIO: "native"}, fit{"directsync", "native"}},
		{"dir", 0, Native{DiskIO: "io_uring"}, fit{"none", "io_uring"}},
		{"logical", 0, Native{DiskCache: "writeback"}, fit{"writeback", "threads"}},
		{"logical", 0, Native{DiskCache: "directsync"}, fit{"directsync", "native"}},
	} {
		have := c.n.refit(fitFor(c.kind, c.fs))
		require.Equal(t, c.want, have, "%+v", c)
		require.False(t, have.io == "native" && strings.HasPrefix(have.cache, "write"), "QEMU refuses that")
	}
}

func TestNativeDisks(t *testing.T) {
	for path, n := range map[string]Native{
		"rootDisk": {RootDisk: "clone"}, "diskCache": {DiskCache: "unsafe"}, "diskIO": {DiskIO: "aio"},
	} {
		list := n.Validate()
		require.Len(t, list, 1)
		require.Equal(t, path, list[0].Path)
	}
	require.Len(t, (&Native{DiskCache: "writeback", DiskIO: "native"}).Validate(), 1)
	require.Empty(t, (&Native{RootDisk: RootCopy, DiskCache: "writeback", DiskIO: "io_uring"}).Validate())
}

// keepTargets: a disk that was taken away or plugged in moves none of the others.
func TestKeepTargets(t *testing.T) {
	s := specs()["data-disks"]
	s.Disks[1] = provision.Disk{}
	list := disks(&provision.NewGuest{ID: testID, Spec: s}, testPool)
	require.Len(t, list, 3)
	keepTargets(list, &domainxml.Inventory{Disks: []domainxml.DiskItem{
		{Serial: "root", Target: "vda"}, {Serial: "disk2", Target: "vdc"}, {Serial: "seed", Target: "vdd"}, {Target: "vde"},
	}})
	var targets []string
	for _, d := range list {
		targets = append(targets, d.Serial+" "+d.Target)
	}
	require.Equal(t, []string{"root vda", "disk2 vdc", "seed vdd"}, targets)
}

func TestRawThatOthersTakeForSomethingElse(t *testing.T) {
	for _, m := range otherMagics {
		head := make([]byte, headerSize)
		copy(head[m.at:], m.text)
		_, err := capacityOf("raw", head, 1<<20)
		requireBad(t, err, m.format, m.format)
	}
}

func TestEndsKept(t *testing.T) {
	for _, size := range []int{0, 1, endSize - 1, endSize, endSize + 1, 3*endSize + 17} {
		data := pattern(size)
		k := &endsKept{r: strings.NewReader(string(data))}
		buf := make([]byte, 1000)
		for {
			n, err := k.Read(buf)
			if n == 0 && err != nil {
				break
			}
		}
		require.EqualValues(t, size, k.size)
		require.Equal(t, string(data[:min(size, endSize)]), string(k.head))
		require.Equal(t, string(data[max(0, size-endSize):]), string(k.tail))
	}
}
