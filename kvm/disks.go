package kvm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// disks are those of the Spec, and the seed as the last. A data disk without a
// size, which no Spec of a new guest has, is one that was taken away by other
// means: the others keep their places.
func disks(g *provision.NewGuest, p *pool) []domainxml.Disk {
	var list []domainxml.Disk
	for i := range g.Spec.Disks {
		if !hasDisk(g.Spec, i) {
			continue
		}
		d := domainxml.Disk{Path: p.path(diskName(p, g.ID, i)), Block: p.block(), Format: diskFormat, Serial: serial(i),
			IOPS: g.Spec.Disks[i].IOPS, BPS: uint64(g.Spec.Disks[i].BPS)}
		if p.block() {
			d.Format = "raw"
		}
		list = append(list, fitted(d, nativeOf(g.Spec).refit(p.fit)))
	}
	return append(list, domainxml.Disk{Path: p.ofFiles().path(seedName(g.ID)), Format: "raw", Serial: "seed", ReadOnly: true, Cache: seedCache(p)})
}

// seedCache: the seed is a file, whatever the disks are.
func seedCache(p *pool) string {
	if c := p.ofFiles().fit.cache; c != "none" {
		return c
	}
	return ""
}

// hasDisk says whether there is a disk i. The root disk has the size of the image
// by default; without an image there is none unless it has a size, and it is
// empty.
func hasDisk(s *provision.Spec, i int) bool {
	return s.Disks[i].Size != 0 || i == 0 && s.Image != ""
}

// serial of the disk i: the guest finds it as /dev/disk/by-id/virtio-SERIAL.
func serial(i int) string {
	if i == 0 {
		return "root"
	}
	return fmt.Sprintf("disk%d", i)
}

// diskNumbers tells which disk of a Spec each of a domain's is, the seed left out:
// by its serial, so that those left keep their numbers when one is taken away, and
// -1 if that is none of ours. Where none has a serial they stand in order.
// provision.Status has the same rule for sizes.
func diskNumbers(list []tunedDisk) []int {
	numbers := make([]int, len(list))
	serials := slices.ContainsFunc(list, func(d tunedDisk) bool { return d.Serial != "" })
	for at, d := range list {
		numbers[at] = at
		if serials {
			numbers[at] = serialNumber(d.Serial)
		}
	}
	return numbers
}

// serialNumber is the inverse of serial, or -1.
func serialNumber(text string) int {
	if text == serial(0) {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimPrefix(text, "disk"))
	if err != nil || n < 1 || serial(n) != text {
		return -1
	}
	return n
}

// diskName is the volume of the disk i. Those of LVM have no format.
func diskName(p *pool, id provision.ID, i int) string {
	name := string(id) + "." + serial(i)
	if p.block() {
		return name
	}
	return name + "." + diskFormat
}

// keepTargets gives disks the names on the bus that a domain has given them: they
// are no part of a Spec, and depend on what was plugged in when.
func keepTargets(list []domainxml.Disk, inv *domainxml.Inventory) {
	for i, d := range list {
		for _, have := range inv.Disks {
			if have.Serial == d.Serial {
				list[i].Target = have.Target
			}
		}
	}
}
