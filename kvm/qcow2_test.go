package kvm

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// header is the beginning of a qcow2 file, written from docs/interop/qcow2.rst
// alone and not from the constants of the code under test.
func header(version uint32, size uint64, change func([]byte)) []byte {
	b := make([]byte, 512)
	copy(b, "QFI\xfb")
	u32, u64 := binary.BigEndian.PutUint32, binary.BigEndian.PutUint64
	u32(b[4:], version)
	u32(b[20:], 16) // cluster_bits: 64 KiB
	u64(b[24:], size)
	u32(b[36:], 1)       // l1_size
	u64(b[40:], 0x30000) // l1_table_offset
	u64(b[48:], 0x10000) // refcount_table_offset
	u32(b[56:], 1)       // refcount_table_clusters
	if version >= 3 {
		u32(b[96:], 4)    // refcount_order
		u32(b[100:], 104) // header_length
	}
	if change != nil {
		change(b)
	}
	return b
}

func features(bits uint64) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint64(b[72:], bits) }
}

func TestCapacityOfQcow2(t *testing.T) {
	const size = 64 << 20
	for name, c := range map[string]struct {
		head     []byte
		capacity int64
		problem  string
	}{
		"version 2":              {header(2, size, nil), size, ""},
		"version 3":              {header(3, size, nil), size, ""},
		"header alone":           {header(3, size, nil)[:104], size, ""},
		"one sector":             {header(3, 512, nil), 512, ""},
		"largest":                {header(3, math.MaxInt64-511, nil), math.MaxInt64 - 511, ""},
		"lazy refcounts":         {header(3, size, func(b []byte) { b[87] = 1 }), size, ""},
		"compression type":       {header(3, size, features(1<<3)), size, ""},
		"extended L2":            {header(3, size, features(1<<4)), size, ""},
		"version 2 of garbage":   {header(2, size, features(math.MaxUint64)), size, ""}, // beyond its header
		"version 1":              {header(1, size, nil), 0, "version 1"},
		"version 4":              {header(4, size, nil), 0, "version 4"},
		"version of all ones":    {header(math.MaxUint32, size, nil), 0, "version 4294967295"},
		"backing file":           {header(2, size, func(b []byte) { b[15] = 104 }), 0, "backing file"},
		"backing file of v3":     {header(3, size, func(b []byte) { b[8] = 0x80 }), 0, "backing file"},
		"AES":                    {header(2, size, func(b []byte) { b[35] = 1 }), 0, "encrypted"},
		"LUKS":                   {header(3, size, func(b []byte) { b[35] = 2 }), 0, "encrypted"},
		"dirty":                  {header(3, size, features(1)), 0, "closed cleanly"},
		"corrupt":                {header(3, size, features(2)), 0, "closed cleanly"},
		"external data file":     {header(3, size, features(4)), 0, "external data file"},
		"data file and dirty":    {header(3, size, features(7)), 0, "external data file"},
		"no size":                {header(3, 0, nil), 0, "0 bytes"},
		"odd size":               {header(3, size+1, nil), 0, "no size of a disk"},
		"size that is negative":  {header(3, 1<<63, nil), 0, "no size of a disk"},
		"size of all ones":       {header(3, math.MaxUint64, nil), 0, "no size of a disk"},
		"truncated":              {header(3, size, nil)[:103], 0, "is not"},
		"magic alone":            {[]byte("QFI\xfb"), 0, "is not"},
		"nothing":                {nil, 0, "is not"},
		"raw":                    {make([]byte, 512), 0, "is not"},
		"qcow of version 1":      {append([]byte("QFI\xfb\x00\x00\x00\x01"), make([]byte, 200)...), 0, "version 1"},
		"VMDK":                   {append([]byte("KDMV"), make([]byte, 200)...), 0, "is not"},
		"magic in another place": {append([]byte{0}, header(3, size, nil)...), 0, "is not"},
	} {
		have, err := capacityOf("qcow2", c.head, 12345)
		if c.problem == "" {
			require.NoError(t, err, name)
			require.Equal(t, c.capacity, have, name)
			continue
		}
		requireBad(t, err, c.problem, name)
		require.Zero(t, have)
	}
}

func requireBad(t *testing.T, err error, problem, name string) {
	t.Helper()
	var field *provision.FieldError
	require.True(t, errors.As(err, &field), "%s: %v", name, err)
	require.Equal(t, "format", field.Path)
	require.Contains(t, field.Problem, problem, name)
	require.ErrorIs(t, err, provision.ErrInvalid)
}

func TestCapacityOfRaw(t *testing.T) {
	boot := make([]byte, 512)
	for _, size := range []int64{512, 1 << 20, math.MaxInt64 - 511} {
		have, err := capacityOf("raw", boot, size)
		require.NoError(t, err)
		require.Equal(t, size, have)
	}
	for _, size := range []int64{0, 1, 511, 513, -512} {
		_, err := capacityOf("raw", boot, size)
		requireBad(t, err, "sectors", "raw")
	}
	// A guest that is given qcow2 as raw could, as its first act, make it point
	// to a file of the host; who states raw has most likely made a mistake.
	for _, head := range [][]byte{header(3, 1<<20, nil), header(2, 1<<20, nil)[:4], header(9, 0, nil)} {
		_, err := capacityOf("raw", head, 1<<20)
		requireBad(t, err, "is qcow2", "raw")
	}
}

// What qemu-img makes, where it is installed.
func TestCapacityOfRealImages(t *testing.T) {
	tool, err := exec.LookPath("qemu-img")
	if err != nil {
		require.ErrorIs(t, err, exec.ErrNotFound)
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key"), []byte("abc"), 0o600))
	for _, c := range []struct {
		name, size, problem string
		args                []string
	}{
		{"v2", "64M", "", []string{"-f", "qcow2", "-o", "compat=0.10"}},
		{"v3", "64M", "", []string{"-f", "qcow2", "-o", "compat=1.1,lazy_refcounts=on"}},
		{"small-clusters", "64M", "", []string{"-f", "qcow2", "-o", "cluster_size=512"}},
		{"extended", "64M", "", []string{"-f", "qcow2", "-o", "extended_l2=on,cluster_size=128k"}},
		{"overlay", "64M", "backing file", []string{"-f", "qcow2", "-b", "v3", "-F", "qcow2"}},
		{"data", "64M", "external data file", []string{"-f", "qcow2", "-o", "data_file=outside.raw"}},
		{"aes", "64M", "encrypted", []string{"-f", "qcow2", "--object", "secret,id=s,file=key", "-o", "encrypt.format=aes,encrypt.key-secret=s"}},
		{"empty", "0", "0 bytes", []string{"-f", "qcow2"}},
		{"qed", "64M", "is not", []string{"-f", "qed"}},
		{"vdi", "64M", "is not", []string{"-f", "vdi"}},
	} {
		cmd := exec.CommandContext(t.Context(), tool, append(append([]string{"create", "-q"}, c.args...), c.name, c.size)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", c.name, out)
		image, err := os.ReadFile(filepath.Join(dir, c.name))
		require.NoError(t, err)
		have, err := capacityOf("qcow2", image[:min(len(image), headerSize)], int64(len(image)))
		if c.problem != "" {
			requireBad(t, err, c.problem, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, int64(64<<20), have, c.name)
		_, err = capacityOf("raw", image[:headerSize], int64(len(image)))
		requireBad(t, err, "is qcow2", c.name)
	}
}

// FuzzQcow2: what is accepted is the size of a disk, and nothing that a header
// says makes it otherwise.
func FuzzQcow2(f *testing.F) {
	f.Add("qcow2", header(2, 1<<20, nil), int64(1<<20))
	f.Add("qcow2", header(3, 1<<20, features(7)), int64(1<<20))
	f.Add("raw", make([]byte, 512), int64(512))
	f.Add("raw", header(3, 0, nil), int64(0))
	f.Add("", []byte("QFI\xfb"), int64(-1))
	f.Fuzz(func(t *testing.T, format string, head []byte, size int64) {
		capacity, err := capacityOf(format, head, size)
		if err != nil {
			require.Zero(t, capacity)
			require.ErrorIs(t, err, provision.ErrInvalid)
			return
		}
		require.Positive(t, capacity)
		require.Zero(t, capacity%512)
		if format != "raw" {
			require.Equal(t, make([]byte, 8), head[8:16], "a backing file")
		}
	})
}
