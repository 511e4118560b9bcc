package provision_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// Every verb in every state: ok, or what it is refused with.
const verbStates = `
             stopped running paused crashed suspended foreign incomplete
start        ok      ok      state  ok      suspended state   state
stop         ok      ok      ok     ok      ok        state   state
pause        state   ok      ok     state   state     state   state
resume       state   ok      ok     state   suspended state   state
restart      state   ok      ok     state   suspended state   state
suspend      ok      ok      ok     ok      ok        state   state
unsuspend    ok      ok      ok     ok      ok        state   state
autostart    ok      ok      ok     ok      ok        state   state
labels       ok      ok      ok     ok      ok        state   state
delete       ok      state   state  ok      ok        state   ok
force-delete ok      ok      ok     ok      ok        state   ok
status       ok      ok      ok     ok      ok        ok      ok
`

func verb(ctx context.Context, g *provision.Guest, name string) error {
	switch name {
	case "start":
		return g.Start(ctx, nil)
	case "stop":
		return second(g.Stop(ctx, nil))
	case "pause":
		return g.Pause(ctx)
	case "resume":
		return g.Resume(ctx)
	case "restart":
		return second(g.Restart(ctx, nil))
	case "suspend":
		return second(g.Suspend(ctx, "abuse", nil))
	case "unsuspend":
		return g.Unsuspend(ctx, "payment")
	case "autostart":
		return g.SetAutostart(ctx, true)
	case "labels":
		return g.SetLabels(ctx, map[string]string{"a": "b"})
	case "delete":
		return g.Delete(ctx, nil)
	case "force-delete":
		return g.Delete(ctx, &provision.DeleteOptions{Force: true})
	case "status":
		return second(g.Status(ctx))
	}
	return errors.New("no such verb")
}

// guestIn makes a guest in a state.
func (r *rig) guestIn(state string) *provision.Guest {
	r.t.Helper()
	ctx := r.t.Context()
	switch state {
	case "foreign":
		require.NoError(r.t, r.backend.AddForeign("web1"))
	case "incomplete":
		leftover(small())(r)
	case "stopped":
		return r.create(small())
	default:
		g := r.running()
		switch state {
		case "paused":
			require.NoError(r.t, g.Pause(ctx))
		case "crashed":
			require.NoError(r.t, r.backend.Crash("web1"))
		case "suspended":
			require.NoError(r.t, second(g.Suspend(ctx, "payment", nil)))
		}
		return g
	}
	g, err := r.Guest(ctx, "web1")
	require.NoError(r.t, err)
	return g
}

func TestVerbsInStates(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(verbStates), "\n")
	states := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		for i, state := range states {
			t.Run(cells[0]+"/"+state, func(t *testing.T) {
				r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
				g := r.guestIn(state)
				before := r.backend.String()
				err := verb(t.Context(), g, cells[0])
				if cells[i+1] == "ok" {
					require.NoError(t, err)
					require.NoError(t, verb(t.Context(), g, cells[0]), "a verb may be repeated")
					return
				}
				want := map[string]error{"state": provision.ErrState, "suspended": provision.ErrSuspended}[cells[i+1]]
				require.ErrorIs(t, err, want)
				require.Equal(t, before, r.backend.String(), "a refused verb changes nothing")
				if state != "foreign" && want == provision.ErrState && state != "suspended" {
					require.Contains(t, err.Error(), state)
				}
			})
		}
	}
}

// Autostart of a suspended guest takes effect when the suspension ends.
func TestAutostartWhileSuspended(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.guestIn("suspended")
	ctx := t.Context()
	require.NoError(t, g.SetAutostart(ctx, true))
	st, err := g.Status(ctx)
	require.NoError(t, err)
	require.False(t, st.Autostart)
	require.NoError(t, g.Unsuspend(ctx, "payment"))
	st, err = g.Status(ctx)
	require.NoError(t, err)
	require.True(t, st.Autostart)
	require.Equal(t, provision.StateRunning, st.State)
}

// A guest that somebody is starting is waited for, up to the context.
func TestVerbsWaitForTransitions(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{BootTime: 20 * time.Second}, provision.Options{})
	g := r.create(small())
	require.NoError(t, r.backend.StartOutside("web1"))
	require.Equal(t, provision.StateStarting, r.state(g))
	begin := r.clock.Now()
	require.NoError(t, g.Pause(t.Context()))
	require.InDelta(t, 20, r.clock.Now().Sub(begin).Seconds(), 1)
	require.Equal(t, provision.StatePaused, r.state(g))
}

// On real time: undo goes on while the hypervisor is away, up to its own
// deadline, also when the context of the call has ended.
func TestUndoWaitsForTheHypervisor(t *testing.T) {
	for _, c := range []struct {
		away   time.Duration
		undone bool
	}{{0, true}, {5 * time.Second, true}, {time.Minute, false}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			b := provisiontest.NewBackend(nil)
			require.NoError(t, b.AddImage("debian-12"))
			var failed time.Time
			h, err := provision.Open(ctx, b, &provision.Options{UndoTimeout: 10 * time.Second, Around: func(ctx context.Context, call provision.Call, next func(context.Context) error) error {
				if call.Step == "seed" && failed.IsZero() {
					failed = time.Now()
					cancel()
					return context.Cause(ctx)
				}
				if call.Op == "undo" && time.Since(failed) < c.away {
					return provision.ErrUnavailable
				}
				return next(ctx)
			}})
			require.NoError(t, err)
			defer h.Close()
			_, err = h.Create(ctx, small(), nil)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, !c.undone, errors.Is(err, provision.ErrUnavailable), "%v", err)
			require.Equal(t, c.undone, !strings.Contains(b.String(), "web1"), "%s", b)
			took := time.Since(failed)
			require.LessOrEqual(t, took, 10*time.Second)
			require.GreaterOrEqual(t, took, min(c.away, 10*time.Second))
		})
	}
}
