package provision_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

func TestImportRefuses(t *testing.T) {
	const body = "the disk"
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
	boom := errors.New("boom")
	for _, c := range []struct {
		name, image string
		reader      io.Reader
		opts        *provision.ImportOptions
		want        error
		text        string
	}{
		{"no options", "i", strings.NewReader(body), nil, provision.ErrInvalid, "format"},
		{"name", "../i", strings.NewReader(body), &provision.ImportOptions{Format: "raw"}, provision.ErrInvalid, "image"},
		{"format", "i", strings.NewReader(body), &provision.ImportOptions{Format: "a b"}, provision.ErrInvalid, "format"},
		{"sum", "i", strings.NewReader(body), &provision.ImportOptions{Format: "raw", SHA256: "abc"}, provision.ErrInvalid, "sha256"},
		{"no size", "i", iotest.OneByteReader(strings.NewReader(body)), &provision.ImportOptions{Format: "raw"}, provision.ErrInvalid, "size"},
		{"empty", "i", strings.NewReader(""), &provision.ImportOptions{Format: "raw"}, provision.ErrInvalid, "size"},
		{"too long", "i", strings.NewReader(body), &provision.ImportOptions{Format: "raw", Size: 7}, provision.ErrInvalid, "longer than the 7 bytes"},
		{"too short", "i", strings.NewReader(body), &provision.ImportOptions{Format: "raw", Size: 9}, provision.ErrInvalid, "ends after 8 of 9 bytes"},
		{"other sum", "i", strings.NewReader(body + "x"), &provision.ImportOptions{Format: "raw", SHA256: sum}, provision.ErrInvalid, "is the checksum of what was read"},
		{"reader fails", "i", iotest.ErrReader(boom), &provision.ImportOptions{Format: "raw", Size: 8}, boom, "boom"},
		{"cut off", "i", io.MultiReader(strings.NewReader("the"), iotest.ErrReader(io.ErrUnexpectedEOF)), &provision.ImportOptions{Format: "raw", Size: 8}, io.ErrUnexpectedEOF, ""},
		{"name taken", "debian-12", strings.NewReader(body), &provision.ImportOptions{Format: "raw"}, provision.ErrExists, "other content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
			before := r.backend.String()
			img, err := r.ImportImage(t.Context(), c.image, c.reader, c.opts)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			require.Zero(t, img)
			require.Equal(t, before, r.backend.String(), "nothing is left")
		})
	}
}

func TestImport(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	body := bytes.Repeat([]byte("disk"), 100_000)
	sum := fmt.Sprintf("%X", sha256.Sum256(body))
	var last, most provision.Progress
	img, err := r.ImportImage(ctx, "own", bytes.NewReader(body), &provision.ImportOptions{Format: "qcow2", SHA256: sum, Progress: func(p provision.Progress) {
		require.True(t, p.Step != last.Step || p.Done >= last.Done, "progress goes back from %v to %v", last, p)
		if last = p; p.Done >= most.Done {
			most = p
		}
	}})
	require.NoError(t, err)
	require.Equal(t, strings.ToLower(sum), img.SHA256)
	require.Equal(t, [2]int64{400_000, 400_000}, [2]int64{img.Size, most.Total})
	require.Equal(t, img.Size, most.Done)
	again, err := r.ImportImage(ctx, "own", iotest.HalfReader(bytes.NewReader(body)), &provision.ImportOptions{Format: "qcow2", Size: img.Size})
	require.NoError(t, err, "the same content is success")
	require.Equal(t, img, again)

	list, err := r.Images(ctx)
	require.NoError(t, err)
	require.Len(t, list, 3)
	g := r.create(with(small(), func(s *provision.Spec) { s.Image = "own" }))
	require.ErrorIs(t, r.RemoveImage(ctx, "own"), provision.ErrState)
	require.ErrorContains(t, r.RemoveImage(ctx, "own"), "web1")
	require.NoError(t, g.Delete(ctx, nil))
	require.NoError(t, r.RemoveImage(ctx, "own"))
	require.NoError(t, r.RemoveImage(ctx, "own"), "twice is once")
	require.ErrorIs(t, r.RemoveImage(ctx, "../x"), provision.ErrInvalid)
}
