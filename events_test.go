package provision_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// Without a Watcher, Events compares lists: what went comes before what came.
func TestPolledEvents(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{Missing: map[provision.Feature]string{provision.FeatureWatch: "no events here"}}, provision.Options{})
	ctx := t.Context()
	var g *provision.Guest
	acts := []func(){
		func() { g = r.create(small()) },
		func() { require.NoError(t, g.Start(ctx, nil)) },
		func() { require.NoError(t, g.SetLabels(ctx, map[string]string{"a": "b"})) },
		func() { require.NoError(t, r.backend.AddForeign("other")) },
		func() {
			require.NoError(t, r.backend.RemoveOutside("web1"))
			g = r.create(small())
		},
	}
	want := []string{"ready  ", "created web1 stopped", "state web1 running", "changed web1 running", "created other stopped", "deleted web1 absent", "created web1 stopped"}
	var have []string
	begin := r.clock.Now()
	for e, err := range r.Events(ctx, &provision.EventOptions{Interval: 3 * time.Second}) {
		require.NoError(t, err)
		require.False(t, e.Time.IsZero())
		have = append(have, string(e.Type)+" "+e.Name+" "+string(e.State))
		if len(have) == len(want) {
			break
		}
		if e.Type != provision.EventDeleted {
			acts[0]()
			acts = acts[1:]
		}
	}
	require.Equal(t, want, have)
	require.Equal(t, 15*time.Second, r.clock.Now().Sub(begin))

	boom := errors.New("boom")
	r.faults.Before("list", "", boom)
	n := 0
	for _, err := range r.Events(ctx, nil) {
		n++
		require.ErrorIs(t, err, boom)
		require.ErrorContains(t, err, "provision: watch on sim: ")
	}
	require.Equal(t, 1, n, "an error ends the sequence")
}

// The end of the context ends both kinds of sequences, with its error.
func TestEventsEndWithTheContext(t *testing.T) {
	for _, missing := range []map[provision.Feature]string{nil, {provision.FeatureWatch: "no events here"}} {
		r := newRig(t, provisiontest.BackendOptions{Missing: missing}, provision.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var last error
		for e, err := range r.Events(ctx, nil) {
			last = err
			if e.Type == provision.EventReady {
				cancel()
			}
		}
		require.ErrorIs(t, last, context.Canceled)
		cancel()
	}
}

// Each loop over Guests asks anew; a failed list is one error and no guest.
func TestGuests(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	all := r.Guests(ctx, &provision.ListOptions{ManagedOnly: true})
	count := func() (n int) {
		for st, err := range all {
			require.NoError(t, err)
			require.True(t, st.Managed)
			n++
		}
		return n
	}
	require.Zero(t, count())
	require.NoError(t, r.backend.AddForeign("zz"))
	r.create(with(small(), func(s *provision.Spec) { s.Key, s.Labels = "k1", map[string]string{"a": ""} }))
	r.create(with(small(), func(s *provision.Spec) { s.Name, s.Key = "a1", "k2" }))
	require.Equal(t, 2, count())
	for _, c := range []struct {
		opts *provision.ListOptions
		want []string
	}{
		{nil, []string{"a1", "web1", "zz"}},
		{&provision.ListOptions{Key: "k2"}, []string{"a1"}},
		{&provision.ListOptions{Labels: map[string]string{"a": ""}}, []string{"web1"}},
		{&provision.ListOptions{Labels: map[string]string{"b": ""}}, nil},
	} {
		var names []string
		for st, err := range r.Guests(ctx, c.opts) {
			require.NoError(t, err)
			names = append(names, st.Name)
		}
		require.Equal(t, c.want, names)
	}
	r.backend.SetDown(true)
	n := 0
	for st, err := range r.Guests(ctx, nil) {
		n++
		require.ErrorIs(t, err, provision.ErrUnavailable)
		require.Zero(t, st)
	}
	require.Equal(t, 1, n)
}
