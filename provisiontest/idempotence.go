package provisiontest

import (
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func idempotenceCases() []testCase {
	return []testCase{
		rule("key", "Create with a Key seen before returns the same guest, whatever has happened to it since", (*env).sameKey),
		rule("key-conflict", "a Key with another Spec or name is ErrConflict, and the guest is left alone", (*env).keyConflict),
		rule("no-key", "without a Key, or with another one, a name that is taken is ErrExists", (*env).nameTaken),
		rule("key-reused", "after a Delete, the Key makes a new guest", (*env).keyReused),
		rule("twice", "every verb succeeds when what it asks for is already so", (*env).twice),
	}
}

func (e *env) sameKey() {
	spec := e.keyed("a")
	g := e.make(spec)
	again := func() {
		e.t.Helper()
		same := e.make(spec)
		require.Equal(e.t, g.ID(), same.ID())
	}
	again()
	require.NoError(e.t, g.SetLabels(e.ctx, map[string]string{"since": "then"}))
	again()
	require.NoError(e.t, g.Start(e.ctx, nil))
	again()
	e.state(g, provision.StateRunning)
	_, err := g.Suspend(e.ctx, "payment", &provision.StopOptions{Force: true})
	require.NoError(e.t, err)
	again()
	require.Equal(e.t, []string{"payment"}, e.status(g).Suspended)
	require.Equal(e.t, "then", e.status(g).Labels["since"])
}

func (e *env) keyConflict() {
	spec := e.keyed("a")
	g := e.make(spec)
	before := e.status(g)
	for _, change := range []func(*provision.Spec){
		func(s *provision.Spec) { s.Name = e.name("b") },
		func(s *provision.Spec) { s.Labels = map[string]string{"new": ""} },
		func(s *provision.Spec) { s.Needs.Strict = true },
	} {
		other := spec.Copy()
		change(&other)
		_, err := e.Create(e.ctx, other, nil)
		require.ErrorIs(e.t, err, provision.ErrConflict)
		require.NotErrorIs(e.t, err, provision.ErrExists)
	}
	require.Empty(e.t, diff(before, e.status(g)))
	e.absent(e.name("b"))
}

func (e *env) nameTaken() {
	g := e.create("a")
	before := e.status(g)
	for _, key := range []string{"", "key-" + e.name("other")} {
		spec := e.spec("a")
		spec.Key = key
		_, err := e.Create(e.ctx, spec, nil)
		require.ErrorIs(e.t, err, provision.ErrExists, "key %q", key)
	}
	require.Empty(e.t, diff(before, e.status(g)))
	e.foreign("b")
	_, err := e.Create(e.ctx, e.spec("b"), nil)
	require.ErrorIs(e.t, err, provision.ErrExists, "the name of a foreign guest")
}

func (e *env) keyReused() {
	spec := e.keyed("a")
	g := e.make(spec)
	e.delete(g)
	anew := e.make(spec)
	require.NotEqual(e.t, g.ID(), anew.ID())
	e.state(anew, provision.StateStopped)
}

func (e *env) twice() {
	g := e.create("a")
	all := verbs()
	for _, name := range []string{"start", "pause", "resume", "stop", "suspend", "labels", "autostart", "unsuspend", "force-delete"} {
		v := all[name]
		if v.feature != "" && !e.declared(v.feature, func() error { return v.run(e, g) }) {
			continue
		}
		require.NoError(e.t, v.run(e, g), name)
		first := e.observe(g)
		require.NoError(e.t, v.run(e, g), "%s again", name)
		require.Equal(e.t, first, e.observe(g), "%s again", name)
	}
	require.NoError(e.t, g.Delete(e.ctx, nil))
	e.absent(g.Name())
}
