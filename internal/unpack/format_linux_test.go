package unpack_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guestforge/provision/internal/unpack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var packers = map[unpack.Format]func(testing.TB, []byte) []byte{
	unpack.Tar:     func(_ testing.TB, b []byte) []byte { return b },
	unpack.TarGzip: gzipped,
	unpack.TarXz:   func(tb testing.TB, data []byte) []byte { return piped(tb, data, "xz", "-0") },
	unpack.TarZstd: func(tb testing.TB, data []byte) []byte {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		require.NoError(tb, err)
		return w.EncodeAll(data, nil)
	},
}

// piped is what a program makes of data.
func piped(tb testing.TB, data []byte, argv ...string) []byte {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	require.NoError(tb, err, argv)
	return out
}

// twoFiles is a small archive with content that does not compress to nothing.
func twoFiles(tb testing.TB) []byte {
	return archiveOf(tb, func(m *maker) {
		m.file("bin/sh", strings.Repeat("0123456789abcdef", 9000))
		m.file("etc/passwd", "root")
		m.end()
	})
}

func TestFormats(t *testing.T) {
	data := twoFiles(t)
	for format, pack := range packers {
		packed := pack(t, data)
		try := func(t *testing.T, r io.Reader, opts unpack.Options) error {
			t.Helper()
			b := newBox(t)
			_, err := unpack.Archive(t.Context(), b.tree, r, format, opts)
			return err
		}
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			require.NoError(t, try(t, bytes.NewReader(packed), unpack.Options{}))
			require.NoError(t, try(t, iotest.OneByteReader(bytes.NewReader(packed)), unpack.Options{}))
			require.NoError(t, try(t, iotest.DataErrReader(bytes.NewReader(packed)), unpack.Options{}))
			for _, n := range []int{len(packed) / 2, len(packed) * 2 / 3, 600} {
				if n < len(packed) {
					require.ErrorIs(t, try(t, bytes.NewReader(packed[:n]), unpack.Options{}), unpack.ErrDamaged, n)
				}
			}
			require.ErrorIs(t, try(t, bytes.NewReader(append(bytes.Clone(packed), "rubbish"...)), unpack.Options{}), unpack.ErrDamaged)
			damaged := bytes.Clone(packed)
			damaged[len(damaged)/2] ^= 0x10
			if format != unpack.Tar { // has no sum of contents
				require.ErrorIs(t, try(t, bytes.NewReader(damaged), unpack.Options{}), unpack.ErrDamaged)
			}

			gone := errors.New("connection lost")
			err := try(t, io.MultiReader(bytes.NewReader(packed[:len(packed)/2]), iotest.ErrReader(gone)), unpack.Options{})
			require.ErrorIs(t, err, gone)
			require.NotErrorIs(t, err, unpack.ErrDamaged)

			for stated := range packers {
				if stated != format {
					b := newBox(t)
					_, err := unpack.Archive(t.Context(), b.tree, bytes.NewReader(packed), stated, unpack.Options{})
					require.ErrorIs(t, err, unpack.ErrFormat)
					require.ErrorContains(t, err, string(stated))
				}
			}
		})
	}
}

func TestWrongFormat(t *testing.T) {
	for _, c := range []struct {
		format unpack.Format
		data   string
		want   string
	}{
		{"", "x", `format "" is not known: state tar, tar.gz, tar.xz or tar.zst`},
		{"tar.bz2", "x", `format "tar.bz2" is not known: state tar, tar.gz, tar.xz or tar.zst`},
		{unpack.Tar, "", "stated as tar, but it is empty"},
		{unpack.TarGzip, "", "stated as tar.gz, but it is empty"},
		{unpack.Tar, "BZh91AY", "stated as tar, but it is bzip2 data"},
		{unpack.TarXz, "<!DOCTYPE html>", "stated as tar.xz, but it is a page of HTML or XML"},
		{unpack.TarXz, "not found\n", "stated as tar.xz, but it is text"},
		{unpack.Tar, "hsqs\x00\x00", "stated as tar, but it is a squashfs image"},
		{unpack.TarZstd, "\x00\x01\x02", "stated as tar.zst, but it is unknown data (00 01 02 ...)"},
		{unpack.Tar, string(make([]byte, 1080)) + "\x53\xef", "stated as tar, but it is an ext2, ext3 or ext4 image"},
		{unpack.TarGzip, string(gzipped(t, []byte("hello"))), "stated as tar.gz, but it is gzip data with this inside: text"},
		{unpack.TarGzip, string(gzipped(t, nil)), "stated as tar.gz, but it is gzip data with this inside: empty"},
	} {
		b := newBox(t)
		_, err := unpack.Archive(t.Context(), b.tree, strings.NewReader(c.data), c.format, unpack.Options{})
		require.EqualError(t, err, c.want)
		require.ErrorIs(t, err, unpack.ErrFormat)
		require.Empty(t, outline(t, b.tree))
	}
}

// 128 MiB of zeros in a few kilobytes.
func TestBomb(t *testing.T) {
	b := newBox(t)
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	packed := w.EncodeAll(make([]byte, 8<<20), nil)
	data := archiveOf(t, func(m *maker) { m.file("bin/sh", "") })
	packed = append(w.EncodeAll(data, nil), bytes.Repeat(packed, 16)...)
	require.Less(t, len(packed), 128<<10)
	_, err = unpack.Archive(t.Context(), b.tree, bytes.NewReader(packed), unpack.TarZstd, unpack.Options{MaxBytes: 1 << 20, MaxEntries: 10})
	require.ErrorIs(t, err, unpack.ErrLimit)
}

// Both formats let a file of a few bytes ask for gigabytes of memory.
func TestWindows(t *testing.T) {
	data := twoFiles(t)
	for _, c := range []struct {
		format unpack.Format
		ok     bool
		argv   []string
	}{
		{unpack.TarXz, true, []string{"xz", "-c", "-0", "--lzma2=dict=128MiB"}},
		{unpack.TarXz, true, []string{"xz", "-c", "-0", "--block-size=20000", "--check=sha256"}},
		{unpack.TarXz, false, []string{"xz", "-c", "--lzma2=preset=0,dict=192MiB"}},
		{unpack.TarZstd, true, []string{"zstd", "-qc", "--long=27"}},
	} {
		packed := piped(t, data, c.argv...)
		_, err := unpack.Archive(t.Context(), newBox(t).tree, bytes.NewReader(packed), c.format, unpack.Options{})
		if c.ok {
			require.NoError(t, err, c.argv)
		} else {
			require.ErrorIs(t, err, unpack.ErrLimit, c.argv)
			require.ErrorContains(t, err, "smaller dictionary")
		}
	}
	filtered := piped(t, data, "xz", "-c", "--x86", "--lzma2=preset=0")
	_, err := unpack.Archive(t.Context(), newBox(t).tree, bytes.NewReader(filtered), unpack.TarXz, unpack.Options{})
	require.ErrorIs(t, err, errors.ErrUnsupported)

	// The header of a frame with a window of 256 MiB: magic, descriptor, 18<<3.
	_, err = unpack.Archive(t.Context(), newBox(t).tree, strings.NewReader("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00"), unpack.TarZstd, unpack.Options{})
	require.ErrorIs(t, err, unpack.ErrLimit)
	require.ErrorContains(t, err, "smaller window")
}

func TestContext(t *testing.T) {
	why := errors.New("had enough")
	noise := make([]byte, 2<<20)
	_, err := rand.NewChaCha8([32]byte{}).Read(noise)
	require.NoError(t, err)
	data := archiveOf(t, func(m *maker) { m.file("bin/sh", string(noise)); m.end() })
	for format, pack := range packers {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			packed := pack(t, data)
			ctx, cancel := context.WithCancelCause(t.Context())
			r := readerFunc(func(p []byte) (int, error) {
				if len(packed) < 1<<20 {
					cancel(why)
				}
				n := copy(p, packed)
				packed = packed[n:]
				return n, nil
			})
			report, err := unpack.Archive(ctx, newBox(t).tree, r, format, unpack.Options{})
			require.ErrorIs(t, err, why)
			require.Less(t, report.Bytes, int64(len(noise)))
			_, err = unpack.Archive(ctx, newBox(t).tree, r, format, unpack.Options{})
			require.ErrorIs(t, err, why)
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// The end of the context is seen inside a file, and progress is told there.
func TestContextInFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	data := archiveOf(t, func(m *maker) { m.file("bin/sh", string(make([]byte, 20<<20))); m.end() })
	var told []int64
	report, err := unpack.Archive(ctx, newBox(t).tree, bytes.NewReader(data), unpack.Tar, unpack.Options{Progress: func(entries int, n int64) {
		require.Equal(t, 2, entries) // with bin
		told = append(told, n)
		cancel()
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []int64{8 << 20}, told)
	require.EqualValues(t, 8<<20, report.Bytes)
}

// A reader that hangs ends with the context, as the documentation asks.
func TestHangingReader(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })()
	go func() {
		w.Write(twoFiles(t)[:2048])
		cancel()
	}()
	_, err := unpack.Archive(ctx, newBox(t).tree, r, unpack.Tar, unpack.Options{})
	require.ErrorIs(t, err, context.Canceled)
}
