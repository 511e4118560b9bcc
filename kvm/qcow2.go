package kvm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/guestforge/provision"
)

// The header of a qcow2 file, from docs/interop/qcow2.rst of QEMU. An image that
// points to other files would show the host's files to its guests, so it is
// refused.
const (
	qcow2Magic     = "QFI\xfb"
	headerSize     = 104
	offBacking     = 8
	offSize        = 24
	offCrypt       = 32
	offFeatures    = 72 // version 3
	featureDirty   = 1 << 0
	featureCorrupt = 1 << 1
	featureData    = 1 << 2 // external data file
	featuresKnown  = 1<<5 - 1
)

// otherMagics are the beginnings by which libvirt and QEMU recognise formats that
// are not taken here. libvirt probes the files of a pool, and a copy goes by what it
// has found; these formats can name files of the host.
var otherMagics = []struct {
	at           int
	text, format string
}{
	{0, "KDMV", "vmdk"}, {0, "COWD", "vmdk"}, {0, "# Disk Descriptor", "vmdk"}, {0, "conectix", "vpc"}, {0, "vhdxfile", "vhdx"},
	{0, "QED\x00", "qed"}, {0, "OOOM", "cow"}, {0, "LUKS\xba\xbe", "luks"}, {0, "WithoutFreeSpace", "parallels"},
	{0, "WithouFreSpacExt", "parallels"}, {0, "Bochs Virtual HD Image", "bochs"}, {64, "\x7f\x10\xda\xbe", "vdi"},
}

// capacityOf returns the size of the disk that an image holds.
func capacityOf(format string, head []byte, size int64) (int64, error) {
	isQcow2 := len(head) >= 4 && string(head[:4]) == qcow2Magic
	if format == "raw" {
		if isQcow2 {
			return 0, bad("states raw, but the image is qcow2")
		}
		for _, m := range otherMagics {
			if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.text)) {
				return 0, bad(fmt.Sprintf("states raw, but the image begins as one of the format %s does, for which others would take it; convert it with qemu-img convert -O qcow2", m.format))
			}
		}
		if size <= 0 || size%512 != 0 {
			return 0, bad(fmt.Sprintf("states raw, but %d bytes are not a whole number of sectors of 512", size))
		}
		return size, nil
	}
	if !isQcow2 || len(head) < headerSize {
		return 0, bad("states qcow2, but the image is not")
	}
	return qcow2Capacity(head)
}

func qcow2Capacity(head []byte) (int64, error) {
	u32, u64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	v := u32(head[4:])
	if v != 2 && v != 3 {
		return 0, bad(fmt.Sprintf("is qcow2 of version %d; 2 and 3 are accepted", v))
	}
	if u64(head[offBacking:]) != 0 {
		return 0, bad("is qcow2 with a backing file; flatten it with qemu-img convert")
	}
	if u32(head[offCrypt:]) != 0 {
		return 0, bad("is encrypted qcow2, which is not supported")
	}
	if v == 3 {
		switch f := u64(head[offFeatures:]); {
		case f&featureData != 0:
			return 0, bad("is qcow2 with an external data file; flatten it with qemu-img convert")
		case f&^featuresKnown != 0:
			return 0, bad("is qcow2 with features that QEMU 7.2 does not know")
		case f&(featureDirty|featureCorrupt) != 0:
			return 0, bad("is qcow2 that was not closed cleanly; repair it with qemu-img check -r all")
		}
	}
	size := u64(head[offSize:])
	if size == 0 || size > math.MaxInt64 || size%512 != 0 {
		return 0, bad(fmt.Sprintf("is qcow2 of %d bytes, which is no size of a disk", size))
	}
	return int64(size), nil
}

func bad(problem string) error { return &provision.FieldError{Path: "format", Problem: problem} }
