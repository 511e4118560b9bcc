package unpack

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// sniffed is how much of a stream is looked at: up to the magic of ext4.
const sniffed = 1082

const aTar = "an uncompressed tar archive"

type magic struct {
	at          int
	bytes, name string
}

func (m magic) found(start []byte) bool {
	return m.at <= len(start) && bytes.HasPrefix(start[m.at:], []byte(m.bytes))
}

// magics are how files start that people take for archives.
var magics = []magic{
	{0, "\x1f\x8b", "gzip data"},
	{0, "\xfd7zXZ\x00", "xz data"},
	{0, "\x28\xb5\x2f\xfd", "zstd data"},
	{1, "\x2a\x4d\x18", "zstd data"}, // a skippable frame: 0x184d2a50 to 0x184d2a5f
	{0, "BZh", "bzip2 data"},
	{0, "\x04\x22\x4d\x18", "lz4 data"},
	{0, "\x5d\x00\x00", "lzma data"},
	{0, "PK\x03\x04", "a zip archive"},
	{0, "hsqs", "a squashfs image"},
	{0, "QFI\xfb", "a qcow2 image"},
	{0, "070701", "a cpio archive"},
	{0, "!<arch>", "an ar archive"},
	{1080, "\x53\xef", "an ext2, ext3 or ext4 image"},
	{0, "<", "a page of HTML or XML"},
}

// compression names the magics of which a format must start with one; "" for
// none. It reports false for a format that is not known.
func (f Format) compression() (name string, ok bool) {
	switch f {
	case Tar:
		return "", true
	case TarGzip:
		return "gzip data", true
	case TarXz:
		return "xz data", true
	case TarZstd:
		return "zstd data", true
	}
	return "", false
}

// startsAs reports whether a stream starts with a magic of that name.
func startsAs(start []byte, name string) bool {
	return slices.ContainsFunc(magics, func(m magic) bool { return m.name == name && m.found(start) })
}

// seen says what the start of a stream is.
func seen(start []byte) string {
	switch {
	case len(start) == 0:
		return "empty"
	case isTar(start) && start[0] != 0: // its first name may look like anything
		return aTar
	}
	for _, m := range magics {
		if m.found(start) {
			return m.name
		}
	}
	switch {
	case isTar(start):
		return aTar
	case utf8.Valid(start[:min(len(start), 64)]) && !bytes.Contains(start, []byte{0}):
		return "text"
	}
	return fmt.Sprintf("unknown data (% x ...)", start[:min(len(start), 8)])
}

// isTar also knows archives from before "ustar", by the sum of their first
// header, and empty ones.
func isTar(start []byte) bool {
	const block = 512
	if len(start) < block {
		return false
	}
	if string(start[257:262]) == "ustar" {
		return true
	}
	_, err := tar.NewReader(bytes.NewReader(start[:block])).Next()
	return !errors.Is(err, tar.ErrHeader)
}
