package provision_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// A restore that has begun and did not finish keeps the guest off; one that has not
// begun does not.
func TestRestoreInterrupted(t *testing.T) {
	for _, c := range []struct {
		step       string
		after, off bool
	}{{"", false, false}, {"look", false, true}, {"exchange", false, true}, {"exchange", true, true}} {
		r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
		g, ctx, boom := r.create(small()), t.Context(), errors.New("boom")
		_, err := g.Snapshot(ctx, "a", nil)
		require.NoError(t, err)
		if c.after {
			r.faults.After("restore", c.step, boom)
		} else {
			r.faults.Before("restore", c.step, boom)
		}
		require.ErrorIs(t, g.RestoreSnapshot(ctx, "a", nil), boom)
		st, err := g.Status(ctx)
		require.NoError(t, err)
		if !c.off {
			require.Empty(t, st.Reason)
			require.NoError(t, g.Start(ctx, nil))
			continue
		}
		require.Contains(t, st.Reason, `a restore of snapshot "a" did not finish; restore it again`)
		err = g.Start(ctx, nil)
		require.ErrorIs(t, err, provision.ErrState)
		require.ErrorContains(t, err, "restore it again")
		require.ErrorIs(t, g.DeleteSnapshot(ctx, "a"), provision.ErrState)
		_, err = g.Snapshot(ctx, "b", nil)
		require.ErrorIs(t, err, provision.ErrState)
		require.NoError(t, g.RestoreSnapshot(ctx, "a", nil))
		require.NoError(t, g.Start(ctx, nil))
	}
}

// A snapshot that failed is removed, and if that fails too, both are told.
func TestSnapshotUndone(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g, ctx, boom := r.create(small()), t.Context(), errors.New("boom")
	before := r.backend.String()
	r.faults.Before("snapshot", "copy", boom)
	r.faults.Before("undo", "", provision.ErrUnavailable) // once: it is tried again
	_, err := g.Snapshot(ctx, "a", nil)
	require.ErrorIs(t, err, boom)
	require.NotContains(t, err.Error(), "undo")
	require.Equal(t, before, r.backend.String())

	r.faults.After("snapshot", "begin", boom)
	r.faults.Before("undo", "remove", errors.New("stuck"))
	_, err = g.Snapshot(ctx, "a", nil)
	require.ErrorContains(t, err, "undo failed; the next snapshot or DeleteSnapshot removes what is left: stuck")
	list, err := g.Snapshots(ctx)
	require.NoError(t, err)
	require.Empty(t, list)
	require.NoError(t, g.DeleteSnapshot(ctx, "a"))
	require.Equal(t, before, r.backend.String())
}

// Suspended guests have disks like others; sizes and labels are no part of a
// snapshot.
func TestSnapshotHoldsDisksAlone(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g, ctx := r.create(sold()), t.Context()
	_, err := g.Suspend(ctx, "payment", nil)
	require.NoError(t, err)
	s, err := g.Snapshot(ctx, "a", nil)
	require.NoError(t, err)
	require.Equal(t, provision.Snapshot{Name: "a", Created: noon, Size: 10 * provision.GiB, Consistency: provision.ConsistencyStopped}, s)
	_, err = g.Resize(ctx, with(sold(), func(s *provision.Spec) { s.Disks[0].Size *= 2 }), nil)
	require.NoError(t, err)
	require.NoError(t, g.SetLabels(ctx, map[string]string{"a": "b"}))
	require.NoError(t, g.RestoreSnapshot(ctx, "a", nil))
	st, err := g.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, 20*provision.GiB, st.Disks[0].Size)
	require.Equal(t, map[string]string{"a": "b"}, st.Labels)
	require.Equal(t, []string{"payment"}, st.Suspended)
}

func TestSnapshotJSON(t *testing.T) {
	s := provision.Snapshot{Name: "a", Created: noon, Size: 1 << 33, Consistency: provision.ConsistencyFrozen}
	text, err := s.MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"a","created":"2026-11-22T12:00:00Z","size":8589934592,"consistency":"frozen"}`, string(text))
	var back provision.Snapshot
	require.NoError(t, back.UnmarshalJSON(text))
	require.Equal(t, s, back)
}
