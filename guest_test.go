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

// The hypervisor is away for a while: its absence is waited out, up to half a
// minute without an answer.
func TestWaitAndAnAbsence(t *testing.T) {
	for _, c := range []struct {
		name   string
		away   time.Duration
		passes bool
	}{{"none", 0, true}, {"short", 29 * time.Second, true}, {"long", 31 * time.Second, false}} {
		t.Run(c.name, func(t *testing.T) {
			var r *rig
			var since time.Time
			r = newRig(t, provisiontest.BackendOptions{}, provision.Options{Around: func(ctx context.Context, call provision.Call, next func(context.Context) error) error {
				if call.Op == "inspect" && !since.IsZero() && r.clock.Now().Sub(since) < c.away {
					return provision.ErrUnavailable
				}
				return next(ctx)
			}})
			g := r.running()
			since = r.clock.Now()
			st, err := g.Wait(t.Context(), provision.UntilState(provision.StateRunning))
			if c.passes {
				require.NoError(t, err)
				require.Equal(t, provision.StateRunning, st.State)
				require.GreaterOrEqual(t, r.clock.Now().Sub(since), c.away)
				return
			}
			require.ErrorIs(t, err, provision.ErrUnavailable)
			require.InDelta(t, 30, r.clock.Now().Sub(since).Seconds(), 1)
		})
	}
}

func TestWait(t *testing.T) {
	boot := provisiontest.BackendOptions{BootTime: 10 * time.Second}
	r := newRig(t, boot, provision.Options{})
	g := r.create(small())
	ctx := t.Context()

	_, err := g.Wait(ctx, provision.UntilConsole("BOOTED", 0))
	require.ErrorIs(t, err, provision.ErrState, "a guest that is off writes nothing")
	_, err = g.Wait(ctx, provision.Condition{})
	require.ErrorIs(t, err, provision.ErrInvalid)
	for _, never := range []provision.Condition{
		provision.UntilState(), provision.UntilState("sleeping"), provision.UntilState("running", provision.StateAbsent),
	} {
		_, err = g.Wait(ctx, never)
		var field *provision.FieldError
		require.ErrorAs(t, err, &field, never)
		require.Equal(t, "until", field.Path)
	}
	require.ErrorContains(t, err, `"absent" is not a state that a guest can have; use UntilGone`)

	require.NoError(t, g.Start(ctx, nil))
	begin := r.clock.Now()
	_, err = g.Wait(ctx, provision.UntilConsole("BOOTED-OK web1", 0))
	require.NoError(t, err)
	require.LessOrEqual(t, r.clock.Now().Sub(begin), 11*time.Second)

	require.NoError(t, r.backend.RemoveOutside("web1"))
	_, err = g.Wait(ctx, provision.UntilState(provision.StateStopped))
	require.ErrorIs(t, err, provision.ErrNotFound)
	st, err := g.Wait(ctx, provision.UntilGone())
	require.NoError(t, err)
	require.Equal(t, provision.StateAbsent, st.State)

	other := r.create(small())
	_, err = g.Wait(ctx, provision.UntilGone())
	require.NoError(t, err, "another guest of that name is not this one")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = other.Wait(ended, provision.UntilState(provision.StateRunning))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"state running, paused or stopped", `"x\ny" on the console`, "that it is gone", "an address from lease, agent or arp"}, []string{
		provision.UntilState("running", "paused", "stopped").String(), provision.UntilConsole("x\ny", 0).String(),
		provision.UntilGone().String(), provision.UntilAddress().String(),
	})
}

// Text that comes in pieces, and before the offset, is found and not found.
func TestWaitForPiecesOnTheConsole(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{Console: func(string) string { return "" }}, provision.Options{})
	g := r.running()
	require.NoError(t, r.backend.Write("web1", "login: half-"))
	c := provision.UntilConsole("half-and-half", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := g.Wait(ctx, c)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, r.backend.Write("web1", "and-half\n"))
	_, err = g.Wait(t.Context(), c)
	require.NoError(t, err)

	require.NoError(t, r.backend.PowerOff("web1"))
	_, err = g.Wait(t.Context(), provision.UntilConsole("login", 5))
	require.ErrorIs(t, err, provision.ErrState, "it stands before the offset")
}

// The guest gets its time, to the poll, and no more.
func TestStopGrace(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration // to shut down; 0: never
		opts  *provision.StopOptions
		want  provision.StopResult
		after time.Duration
	}{
		{"goes in time", 59 * time.Second, nil, provision.StopShut, 59 * time.Second},
		{"default grace", 0, nil, provision.StopKilled, time.Minute},
		{"short grace", 0, &provision.StopOptions{Grace: time.Second}, provision.StopKilled, time.Second},
		{"long grace", 9 * time.Minute, &provision.StopOptions{Grace: 10 * time.Minute}, provision.StopShut, 9 * time.Minute},
		{"force", 0, &provision.StopOptions{Force: true, Grace: time.Hour}, provision.StopKilled, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, provisiontest.BackendOptions{ShutdownTime: c.takes, Deaf: func(string) bool { return c.takes == 0 }}, provision.Options{})
			g := r.running()
			begin := r.clock.Now()
			result, err := g.Stop(t.Context(), c.opts)
			require.NoError(t, err)
			require.Equal(t, c.want, result)
			require.InDelta(t, c.after.Seconds(), r.clock.Now().Sub(begin).Seconds(), 0.5)
			require.Equal(t, provision.StateStopped, r.state(g))
			result, err = g.Stop(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, provision.StopNone, result)
		})
	}
}

// A hypervisor that is away is no reason to kill, nor is a request that fails
// once; a guest that cannot be asked at all is.
func TestStopThatCannotAsk(t *testing.T) {
	goes := false
	var r *rig
	r = newRig(t, provisiontest.BackendOptions{Deaf: func(string) bool {
		if goes {
			r.backend.SetDown(true)
		}
		return goes
	}}, provision.Options{})
	g := r.running()
	goes = true
	_, err := g.Stop(t.Context(), nil)
	require.ErrorIs(t, err, provision.ErrUnavailable)
	goes = false
	r.backend.SetDown(false)
	require.Equal(t, provision.StateRunning, r.state(g))
	r.faults.Before("shutdown", "", errors.New("no agent"))
	result, err := g.Stop(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, provision.StopShut, result, "it was asked again")
	require.NoError(t, g.Start(t.Context(), nil))
	r.faults.Before("shutdown", "", errors.ErrUnsupported)
	result, err = g.Stop(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, provision.StopKilled, result)
	require.Empty(t, r.faults.Pending())
}

// A request that the hypervisor does not answer, while it answers all else, is of a
// guest that hangs: it is killed in the end.
func TestStopOfGuestThatHangs(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	r.faults.Before("shutdown", "", provision.ErrUnavailable).Always()
	result, err := g.Suspend(t.Context(), "payment", &provision.StopOptions{Grace: 2 * time.Second})
	require.NoError(t, err)
	require.Equal(t, provision.StopKilled, result)
}

// However short the grace is, the hypervisor asks too before the guest is killed.
func TestStopAsksBothWays(t *testing.T) {
	for _, grace := range []time.Duration{time.Second, 4 * time.Second, 10 * time.Second} {
		slow := provisiontest.BackendOptions{Agent: func(string) bool { return true }, ShutdownTime: time.Hour}
		r := newRig(t, slow, provision.Options{})
		g := r.running()
		result, err := g.Stop(t.Context(), &provision.StopOptions{Grace: grace})
		require.NoError(t, err)
		require.Equal(t, provision.StopKilled, result)
		require.Contains(t, r.ops(0), "shutdown", "grace %s", grace)
	}
}

// A guest that is still booting does not hear the first request.
func TestStopAsksAgain(t *testing.T) {
	asked := 0
	r := newRig(t, provisiontest.BackendOptions{Deaf: func(string) bool { asked++; return asked < 3 }}, provision.Options{})
	result, err := r.running().Stop(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, provision.StopShut, result)
	require.Equal(t, 3, asked)
}

func TestRestart(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{Deaf: func(string) bool { return true }}, provision.Options{})
	g := r.running()
	ctx := t.Context()
	result, err := g.Restart(ctx, &provision.StopOptions{Grace: time.Second})
	require.NoError(t, err)
	require.Equal(t, provision.StopKilled, result)
	require.Equal(t, provision.StateRunning, r.state(g))

	require.NoError(t, g.Pause(ctx))
	_, err = g.Restart(ctx, &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, r.state(g), "a paused guest is restarted too")

	boom := errors.New("boom")
	r.faults.Before("start", "", boom)
	result, err = g.Restart(ctx, &provision.StopOptions{Force: true})
	require.ErrorIs(t, err, boom)
	require.Equal(t, provision.StopKilled, result, "the result tells that it was stopped")
	_, err = g.Restart(ctx, nil)
	require.ErrorIs(t, err, provision.ErrState, "a guest that is off")
	_, err = g.Suspend(ctx, "abuse", nil)
	require.NoError(t, err)
	_, err = g.Restart(ctx, nil)
	require.ErrorIs(t, err, provision.ErrSuspended)
}

// A suspension that was interrupted anywhere is finished by the same call, and
// ends with the power state from before.
func TestSuspendInterrupted(t *testing.T) {
	for _, op := range []string{"record", "autostart", "block", "kill"} {
		for _, after := range []bool{false, true} {
			r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
			g := r.create(with(small(), func(s *provision.Spec) { s.Autostart = true }))
			ctx, force, boom := t.Context(), &provision.StopOptions{Force: true}, errors.New("boom")
			require.NoError(t, g.Start(ctx, nil))
			if after {
				r.faults.After(op, "", boom)
			} else {
				r.faults.Before(op, "", boom)
			}
			_, err := g.Suspend(ctx, "abuse", force)
			require.ErrorIs(t, err, boom, op)
			_, err = g.Suspend(ctx, "abuse", force)
			require.NoError(t, err, op)
			st, err := g.Status(ctx)
			require.NoError(t, err)
			require.Equal(t, []string{"abuse"}, st.Suspended)
			require.False(t, st.Autostart)
			require.Equal(t, provision.StateStopped, st.State)
			require.ErrorIs(t, r.backend.StartOutside("web1"), provision.ErrSuspended)

			require.NoError(t, g.Unsuspend(ctx, "abuse"))
			st, err = g.Status(ctx)
			require.NoError(t, err)
			require.Equal(t, provision.StateRunning, st.State, "%s, after: %v", op, after)
			require.True(t, st.Autostart)
			require.Empty(t, st.Suspended)
		}
	}
}

func TestUnsuspendInterrupted(t *testing.T) {
	for _, op := range []string{"autostart", "block", "start", "record"} {
		r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
		g := r.create(with(small(), func(s *provision.Spec) { s.Autostart = true }))
		ctx, boom := t.Context(), errors.New("boom")
		require.NoError(t, g.Start(ctx, nil))
		for _, reason := range []string{"payment", "abuse"} {
			_, err := g.Suspend(ctx, reason, nil)
			require.NoError(t, err)
		}
		require.NoError(t, g.Unsuspend(ctx, "payment"))
		require.ErrorIs(t, g.Start(ctx, nil), provision.ErrSuspended, "one reason is left")
		r.faults.Before(op, "", boom)
		require.ErrorIs(t, g.Unsuspend(ctx, "abuse"), boom, op)
		require.NoError(t, g.Unsuspend(ctx, "abuse"), op)
		st, err := g.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, provision.StateRunning, st.State, op)
		require.True(t, st.Autostart)
		require.Empty(t, st.Suspended)
	}
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	for _, bad := range []string{"", "a b", "Payment", long, "a\n"} {
		_, err := g.Suspend(t.Context(), bad, nil)
		require.ErrorIs(t, err, provision.ErrInvalid)
		require.ErrorIs(t, g.Unsuspend(t.Context(), bad), provision.ErrInvalid)
	}
	require.NoError(t, g.Unsuspend(t.Context(), "never-there"))
	require.Equal(t, provision.StateRunning, r.state(g))
}

// What did not run must not look as if it had succeeded.
func TestExecWithoutResult(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.create(small())
	result, err := g.Exec(t.Context(), []string{"true"}, nil)
	require.ErrorIs(t, err, provision.ErrState)
	require.Equal(t, provision.ExecResult{Code: -1}, result)
	require.False(t, result.OK())
	require.Equal(t, "no result", result.String())
	require.NoError(t, g.Start(t.Context(), nil))
	result, err = g.Exec(t.Context(), []string{"true"}, nil)
	require.NoError(t, err)
	require.Equal(t, "exit status 0", result.String())
}
