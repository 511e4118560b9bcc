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

// An agent is asked first and has half of the grace for itself; then the
// hypervisor asks, and in the end the guest is killed.
func TestStopAsksTheAgentFirst(t *testing.T) {
	all := func(string) bool { return true }
	boom := errors.New("agent does not answer")
	for _, c := range []struct {
		name   string
		sim    provisiontest.BackendOptions
		script func(*provisiontest.Faults)
		want   provision.StopResult
		agent  int // how often it is asked
		button int // how often the hypervisor asks
		after  time.Duration
	}{
		{"it obeys", provisiontest.BackendOptions{Agent: all, Deaf: all, ShutdownTime: 20 * time.Second}, nil, provision.StopAgent, 1, 0, 20 * time.Second},
		{"no agent", provisiontest.BackendOptions{ShutdownTime: 19 * time.Second}, nil, provision.StopShut, 1, 4, 19 * time.Second},
		{"it is not up yet", provisiontest.BackendOptions{Agent: all, Deaf: all}, func(f *provisiontest.Faults) {
			f.Before("shutdown by agent", "", boom)
		}, provision.StopShut, 2, 1, 5 * time.Second},
		{"the request fails and the agent works", provisiontest.BackendOptions{Agent: all, Deaf: all, ShutdownTime: time.Second}, func(f *provisiontest.Faults) {
			f.After("shutdown by agent", "", boom)
		}, provision.StopShut, 1, 1, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.sim, provision.Options{})
			g := r.running()
			if c.script != nil {
				c.script(r.faults)
			}
			skip := len(r.faults.Calls())
			begin := r.clock.Now()
			result, err := g.Stop(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, c.want, result)
			require.Equal(t, c.want == provision.StopKilled, result.Killed())
			require.InDelta(t, c.after.Seconds(), r.clock.Now().Sub(begin).Seconds(), 1)
			calls := r.ops(skip)
			count := func(op string) (n int) {
				for _, have := range calls {
					if have == op {
						n++
					}
				}
				return n
			}
			require.Equal(t, c.agent, count("shutdown by agent"), calls)
			require.Equal(t, c.button, count("shutdown"), calls)
			require.Equal(t, provision.StateStopped, r.state(g))
		})
	}
}

// liar is a backend whose agent takes every request and does nothing.
type liar struct{ *provisiontest.Backend }

func (liar) StopByAgent(context.Context, provision.ID) error { return nil }

// An agent that took the request and does nothing has half of the grace.
func TestStopAgentThatLies(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		clock := provisiontest.NewClock(noon)
		sim := provisiontest.NewBackend(&provisiontest.BackendOptions{Clock: clock, Deaf: func(string) bool { return deaf }})
		require.NoError(t, sim.AddImage("debian-12"))
		h, err := provision.Open(t.Context(), liar{sim}, &provision.Options{Clock: clock})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		g, err := h.Create(t.Context(), small(), nil)
		require.NoError(t, err)
		require.NoError(t, g.Start(t.Context(), nil))
		result, err := g.Stop(t.Context(), &provision.StopOptions{Grace: 40 * time.Second})
		require.NoError(t, err)
		want, after := provision.StopShut, 20.0
		if deaf {
			want, after = provision.StopKilled, 40.0
		}
		require.Equal(t, want, result)
		require.InDelta(t, after, clock.Now().Sub(noon).Seconds(), 6)
	}
}

// A request to the agent that is not answered is the guest's affair, as long as the
// hypervisor answers.
func TestStopAgentUnavailable(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	r.faults.Before("shutdown by agent", "", provision.ErrUnavailable)
	result, err := g.Stop(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, provision.StopShut, result)
	require.Contains(t, r.ops(0), "shutdown")
}
