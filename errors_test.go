package provision_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// Errors that somebody meets in the first hour say what to do next.
func TestErrorsNameTheRemedy(t *testing.T) {
	ctx := t.Context()
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	require.NoError(t, g.Pause(ctx))
	require.ErrorContains(t, g.Start(ctx, nil), "cannot start a guest that is paused (by request); resume it")

	_, err := r.Create(ctx, small(), nil)
	require.ErrorIs(t, err, provision.ErrExists)
	require.ErrorContains(t, err, "another guest has this name; a Spec with a key can be created repeatedly")
	_, err = r.Create(ctx, with(small(), func(s *provision.Spec) { s.Key = "order-2" }), nil)
	require.ErrorIs(t, err, provision.ErrExists)
	require.ErrorContains(t, err, "made with another key or with none")

	leftover(with(small(), func(s *provision.Spec) { s.Name = "half" }))(r)
	half, err := r.Guest(ctx, "half")
	require.NoError(t, err)
	require.ErrorContains(t, half.Start(ctx, nil), "(its create did not finish); create it again, or delete it")

	require.NoError(t, g.Resume(ctx))
	_, err = g.Exec(ctx, []string{"true"}, &provision.ExecOptions{Env: []string{"1=2"}})
	require.ErrorContains(t, err, "not beginning with a digit")
	_, err = r.ImportImage(ctx, "tree", nil, &provision.ImportOptions{Size: 1})
	require.ErrorContains(t, err, "tar.zst for the root file system of a container")
}
