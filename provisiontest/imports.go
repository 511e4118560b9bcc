package provisiontest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func (e *env) importImage() {
	content, format := e.Image(e.t, e.machine)
	sum := sha256.Sum256(content)
	want := provision.Image{Name: e.name("a"), Format: format, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
	var seen []provision.Progress
	img, err := e.imported(e.Host, "a", provision.ImportOptions{
		SHA256:   strings.ToUpper(want.SHA256),
		Progress: func(p provision.Progress) { seen = append(seen, p) },
	})
	require.NoError(e.t, err)
	list, err := e.Images(e.ctx)
	require.NoError(e.t, err)
	require.Contains(e.t, list, img, "the list has what the import returned")
	want.Imported, want.Capacity = img.Imported, img.Capacity
	require.Empty(e.t, diff(want, img))
	require.WithinDuration(e.t, e.clock().Now(), img.Imported, e.Timeout)
	e.growing(seen, want.Size)
	require.NoError(e.t, e.RemoveImage(e.ctx, want.Name))
	require.False(e.t, e.hasImage(want.Name))
}

func (e *env) growing(seen []provision.Progress, total int64) {
	e.t.Helper()
	last := int64(0)
	for _, p := range seen {
		if p.Total == 0 {
			continue
		}
		require.Equal(e.t, total, p.Total)
		require.GreaterOrEqual(e.t, p.Done, last)
		last = p.Done
	}
	require.Equal(e.t, total, last)
}

func (e *env) importFails() {
	content, format := e.Image(e.t, e.machine)
	size := int64(len(content))
	ended, cancel := context.WithCancel(e.ctx)
	cutoff := func() io.Reader {
		return io.MultiReader(bytes.NewReader(content[:size/2]), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, ended.Err()
		}))
	}
	cases := []struct {
		name string
		ctx  context.Context
		r    io.Reader
		opts provision.ImportOptions
		want error
	}{
		{"checksum", e.ctx, bytes.NewReader(content), provision.ImportOptions{SHA256: strings.Repeat("0", 64)}, provision.ErrInvalid},
		{"short", e.ctx, bytes.NewReader(content), provision.ImportOptions{Size: size + 1}, provision.ErrInvalid},
		{"long", e.ctx, bytes.NewReader(content), provision.ImportOptions{Size: size - 1}, provision.ErrInvalid},
		{"no-size", e.ctx, io.MultiReader(bytes.NewReader(content)), provision.ImportOptions{}, provision.ErrInvalid},
		{"reader", e.ctx, io.MultiReader(bytes.NewReader(content[:size/2]), iotest.ErrReader(errInjected)), provision.ImportOptions{Size: size}, errInjected},
		{"at-once", e.ctx, iotest.ErrReader(errInjected), provision.ImportOptions{Size: size}, errInjected},
		{"context", ended, cutoff(), provision.ImportOptions{Size: size}, context.Canceled},
	}
	before := e.leftovers()
	for _, c := range cases {
		c.opts.Format = format
		_, err := e.ImportImage(c.ctx, e.name("a"), c.r, &c.opts)
		require.ErrorIs(e.t, err, c.want, c.name)
		e.shaped(err, e.name("a"))
		require.False(e.t, e.hasImage(e.name("a")), c.name)
		require.Empty(e.t, diff(before, e.leftovers()), c.name)
	}
	_, err := e.ImportImage(e.ctx, e.name("a"), bytes.NewReader(content), nil)
	e.refused(err, "format")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// importPoints learns the steps of an import.
func (e *env) importPoints() []point {
	learn := NewFaults()
	_, err := e.imported(e.open(learn.Around), "learn", provision.ImportOptions{})
	require.NoError(e.t, err)
	require.NoError(e.t, e.RemoveImage(e.ctx, e.name("learn")))
	return points(learn.Calls(), []string{"import"})
}

func (e *env) importUndone() {
	list := e.importPoints()
	before := e.leftovers()
	for _, p := range list {
		f := NewFaults()
		p.fail(f, errInjected)
		_, err := e.imported(e.open(f.Around), "a", provision.ImportOptions{})
		require.ErrorIs(e.t, err, errInjected, "%s", p)
		require.Empty(e.t, f.Pending())
		require.False(e.t, e.hasImage(e.name("a")), "%s", p)
		require.Empty(e.t, diff(before, e.leftovers()), "%s", p)
	}
	_, err := e.imported(e.Host, "a", provision.ImportOptions{})
	require.NoError(e.t, err)
}

func (e *env) importAgain() {
	first, err := e.imported(e.Host, "a", provision.ImportOptions{})
	require.NoError(e.t, err)
	second, err := e.imported(e.Host, "a", provision.ImportOptions{})
	require.NoError(e.t, err)
	require.Empty(e.t, diff(first, second))
	content, format := e.Image(e.t, e.machine)
	for _, other := range [][]byte{content[:len(content)-512], append(bytes.Clone(content[:len(content)-1]), ^content[len(content)-1])} {
		_, err = e.ImportImage(e.ctx, e.name("a"), bytes.NewReader(other), &provision.ImportOptions{Format: format})
		require.ErrorIs(e.t, err, provision.ErrExists)
	}
	list, err := e.Images(e.ctx)
	require.NoError(e.t, err)
	require.Contains(e.t, list, first, "the image that was there is left alone")
}
