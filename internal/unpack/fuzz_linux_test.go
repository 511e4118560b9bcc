package unpack_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/unpack"
)

// Whatever an archive is, nothing is written outside, memory and time are
// bounded, and what was made can be removed.
func FuzzArchive(f *testing.F) {
	for _, o := range oddities {
		data := archiveOf(f, func(m *maker) { o.build(m); m.end() })
		if len(data) < 64<<10 { // the others are tests enough
			f.Add(data, uint8(0))
		}
	}
	for i, format := range formats {
		f.Add(packers[format](f, archiveOf(f, func(m *maker) { m.file("bin/sh", "x"); m.end() })), uint8(i))
	}
	b := newBox(f)
	require.NoError(f, os.Remove(b.tree))
	f.Fuzz(func(t *testing.T, data []byte, format uint8) {
		require.NoError(t, os.Mkdir(b.tree, 0o700))
		defer func() { require.NoError(t, os.RemoveAll(b.tree)) }()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		opts := unpack.Options{MaxBytes: 1 << 20, MaxEntries: 100}
		report, err := unpack.Archive(ctx, b.tree, bytes.NewReader(data), formats[int(format)%len(formats)], opts)
		require.NoError(t, ctx.Err(), "it takes too long")
		require.LessOrEqual(t, report.Entries, opts.MaxEntries)
		require.LessOrEqual(t, report.Bytes, opts.MaxBytes)
		if err == nil {
			require.Len(t, outline(t, b.tree), report.Directories-1+report.Files+report.Hardlinks+report.Symlinks+report.Specials)
		}
		b.requireUntouched(t)
	})
}

var formats = []unpack.Format{unpack.Tar, unpack.TarGzip, unpack.TarXz, unpack.TarZstd}
