package provisiontest

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func usageCases() []testCase {
	return []testCase{
		rule("counters", "the usage of a running guest grows and names its own disks and NICs, and a list tells the same", (*env).usageGrows),
		rule("runs", "a guest that is off has no counters, none in lists either, and each start begins another run", (*env).usageRuns),
		rule("addresses", "configured addresses are found as such, and a source that fails is told and is no error", (*env).configured),
		rule("seen", "an address is waited for until the context ends, and the error says why there is none", (*env).unseen),
	}
}

// usage reads the usage of a guest, if it can be had here.
func (e *env) usage(g *provision.Guest) (u provision.Usage, ok bool) {
	e.t.Helper()
	verb := func() (err error) { u, err = g.Usage(e.ctx); return err }
	if !e.declared(provision.FeatureUsage, verb) {
		for _, err := range e.Guests(e.ctx, &provision.ListOptions{Usage: true}) {
			require.ErrorIs(e.t, err, errors.ErrUnsupported)
		}
		return u, false
	}
	require.NoError(e.t, verb())
	require.WithinDuration(e.t, e.clock().Now(), u.Time, e.Timeout)
	for _, n := range u.Unread {
		require.NotEmpty(e.t, n.Path)
		require.NotEmpty(e.t, n.Reason, "the reason why %s was not read", n.Path)
	}
	return u, true
}

// listedUsage is what a list tells.
func (e *env) listedUsage(g *provision.Guest) *provision.Usage {
	e.t.Helper()
	for st, err := range e.Guests(e.ctx, &provision.ListOptions{Usage: true}) {
		require.NoError(e.t, err)
		if st.ID == g.ID() {
			return st.Usage
		}
	}
	require.Fail(e.t, "not in the list", g.Name())
	return nil
}

func (e *env) usageGrows() {
	g, other := e.create("a"), e.create("b")
	require.NoError(e.t, g.Start(e.ctx, nil))
	require.NoError(e.t, other.Start(e.ctx, nil))
	first, ok := e.usage(g)
	if !ok {
		return
	}
	require.True(e.t, first.Live())
	require.True(e.t, first.Known("cpu"), "%v", first.Unread)
	require.True(e.t, first.Known("memory.host"), "%v", first.Unread)
	require.NotZero(e.t, first.Memory.Host)
	st := e.status(g)
	require.Len(e.t, first.Disks, len(st.Disks))
	for i, d := range first.Disks {
		require.Equal(e.t, st.Disks[i].Target, d.Target)
		require.True(e.t, first.Known(fmt.Sprintf("disks[%d]", i)), "%v", first.Unread)
	}
	require.Len(e.t, first.NICs, len(st.NICs))
	for i, n := range first.NICs {
		require.Equal(e.t, st.NICs[i].MAC, n.MAC)
	}
	later := first
	for later.CPU <= first.CPU {
		require.NoError(e.t, e.clock().Sleep(e.ctx, 200*time.Millisecond), "the CPU time stays at %s", first.CPU)
		later, _ = e.usage(g)
		require.Equal(e.t, first.Run, later.Run, "one run")
	}
	listed := e.listedUsage(g)
	require.NotNil(e.t, listed)
	require.Equal(e.t, first.Run, listed.Run)
	require.GreaterOrEqual(e.t, listed.CPU, later.CPU)
	require.Len(e.t, listed.NICs, len(first.NICs))
	for i, n := range listed.NICs {
		require.Equal(e.t, first.NICs[i].MAC, n.MAC)
	}
	require.NotNil(e.t, e.listedUsage(other))
	require.Nil(e.t, e.listed(g).Usage, "in a list that was not asked for it")
	text, err := listed.MarshalJSON()
	require.NoError(e.t, err)
	var back provision.Usage
	require.NoError(e.t, back.UnmarshalJSON(text))
	require.Equal(e.t, listed.CPU, back.CPU)
}

func (e *env) usageRuns() {
	g := e.create("a")
	off, ok := e.usage(g)
	if !ok {
		return
	}
	runs := map[string]bool{}
	for range 2 {
		require.False(e.t, off.Live())
		require.False(e.t, off.Known("cpu"))
		require.Zero(e.t, off.CPU)
		require.Empty(e.t, off.NICs)
		require.Nil(e.t, e.listedUsage(g))
		require.NoError(e.t, g.Start(e.ctx, nil))
		on, _ := e.usage(g)
		require.True(e.t, on.Live())
		require.False(e.t, runs[on.Run], "run %s comes twice", on.Run)
		runs[on.Run] = true
		_, err := g.Stop(e.ctx, &provision.StopOptions{Force: true})
		require.NoError(e.t, err)
		off, _ = e.usage(g)
	}
	e.delete(g)
	_, err := g.Usage(e.ctx)
	require.ErrorIs(e.t, err, provision.ErrNotFound)
}

func (e *env) configured() {
	spec := e.spec("a")
	want := []netip.Prefix{}
	if e.Supports(provision.FeatureNICAddresses) == nil && len(spec.NICs) > 0 {
		want = []netip.Prefix{netip.MustParsePrefix("192.0.2.77/24"), netip.MustParsePrefix("2001:db8::77/64")}
		spec.NICs[0].Addresses = want
	}
	g := e.make(spec)
	var all provision.Addresses
	verb := func() (err error) { all, err = g.Addresses(e.ctx); return err }
	if !e.declared(provision.FeatureAddresses, verb) {
		return
	}
	for range 2 { // off, then on
		require.NoError(e.t, verb())
		have := []netip.Prefix{}
		for _, a := range all.Found {
			if a.Source == provision.SourceSpec {
				have = append(have, a.Address)
				require.Equal(e.t, e.status(g).NICs[0].MAC, a.MAC)
			}
		}
		require.Equal(e.t, want, have)
		for _, f := range all.Failed {
			require.Contains(e.t, []provision.AddressSource{provision.SourceLease, provision.SourceAgent, provision.SourceARP}, f.Source)
			require.NotEmpty(e.t, f.Reason, "the reason why %s failed", f.Source)
		}
		if len(want) > 0 {
			_, err := g.Wait(e.ctx, provision.UntilAddress(provision.SourceSpec))
			require.NoError(e.t, err)
		}
		require.NoError(e.t, g.Start(e.ctx, nil))
	}
}

func (e *env) unseen() {
	g := e.create("a")
	// No source that there is: it is never seen.
	ctx, cancel := e.soon()
	defer cancel()
	wait := func() error { _, err := g.Wait(ctx, provision.UntilAddress("nobody")); return err }
	if !e.declared(provision.FeatureAddresses, wait) {
		return
	}
	require.ErrorIs(e.t, wait(), provision.ErrState, "a guest that is off gets none")
	require.NoError(e.t, g.Start(e.ctx, nil))
	ctx, cancel = e.soon()
	defer cancel()
	err := wait()
	require.ErrorIs(e.t, err, ctx.Err())
	require.ErrorContains(e.t, err, "nobody")
}
