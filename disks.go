package provision

import "fmt"

// disk returns the disk that the hypervisor has for Disks[i] of a Spec: by its
// serial, where disks have one, so that those left keep their places when one is
// taken away, and otherwise by its place.
func (st *Status) disk(i int) (DiskStatus, bool) {
	serial, serials := "root", false
	if i > 0 {
		serial = fmt.Sprintf("disk%d", i)
	}
	for _, d := range st.Disks {
		if d.Serial == serial {
			return d, true
		}
		serials = serials || d.Serial != ""
	}
	if serials || i >= len(st.Disks) {
		return DiskStatus{}, false
	}
	return st.Disks[i], true
}

// maxExtent is the largest unit of storage that sizes are taken to be rounded up
// to. Extents of LVM have 4 MiB by default.
const maxExtent = 32 * MiB

// roundedUp reports whether a disk of size have is what storage that deals out
// extents made of one of size want.
func roundedUp(want, have Bytes) bool {
	extent := have & -have // the largest power of two that divides it
	return have > want && have-want < min(extent, maxExtent)
}
