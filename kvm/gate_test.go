package kvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

var errDown = fmt.Errorf("%w: nobody there", provision.ErrUnavailable)

// fixed is a gate without chance.
func fixed() *gate {
	g := newGate(lastPause)
	g.jitter = func() float64 { return 1 }
	return g
}

// A host that was never there is not waited for: the first attempt tells, and
// until the next is due all others fail at once, with its error.
func TestGateOfADeadHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fixed()
		var pauses []time.Duration
		for range 9 {
			require.NoError(t, g.enter(t.Context()))
			require.False(t, g.leave(errDown, false))
			begin := time.Now()
			for range 1000 {
				require.ErrorIs(t, g.enter(t.Context()), errDown)
			}
			require.Zero(t, time.Since(begin), "callers wait")
			pauses = append(pauses, g.next.Sub(begin))
			time.Sleep(g.next.Sub(begin))
		}
		const ms = time.Millisecond
		require.Equal(t, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms, 5000 * ms}, pauses)
		require.NoError(t, g.enter(t.Context()))
		require.ErrorIs(t, g.enter(t.Context()), errDown, "one attempt at a time")
		g.leave(nil, false)
		for range 3 {
			require.NoError(t, g.enter(t.Context()), "it answers again: no limits")
		}
	})
}

// TestHazard06Gate: a daemon that was there a moment ago is waited for, and one
// caller at a time looks whether it is back.
func TestHazard06Gate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fixed()
		require.NoError(t, g.enter(t.Context()))
		g.leave(nil, false)
		begin := time.Now()
		var failed, attempts atomic.Int64
		for range 1000 {
			go func() {
				for {
					if g.enter(t.Context()) != nil {
						failed.Add(1)
						return
					}
					attempts.Add(1)
					err := errDown
					if time.Since(begin) > 350*time.Millisecond {
						err = nil
					}
					if !g.leave(err, false) {
						return
					}
				}
			}()
		}
		synctest.Wait()
		require.Less(t, attempts.Load(), int64(1100), "those who found it lost at the same time")
		lost := attempts.Load()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Zero(t, failed.Load(), "all of them were served in the end")
		require.LessOrEqual(t, attempts.Load()-lost, int64(1003))
	})
}

// An outage that lasts is told to those who waited.
func TestGateLosesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fixed()
		g.leave(nil, false)
		begin := time.Now()
		for {
			if err := g.enter(t.Context()); err != nil {
				require.ErrorIs(t, err, errDown)
				break
			}
			g.leave(errDown, false)
		}
		require.InDelta(t, restartTime.Seconds(), time.Since(begin).Seconds(), 1.2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		g = fixed()
		g.leave(nil, false)
		require.True(t, g.leave(errDown, false))
		require.ErrorIs(t, g.enter(ctx), context.DeadlineExceeded, "a caller waits within its context")
	})
}

// A refusal is not waited out: who is not let in now is not let in a second later.
func TestGateRefused(t *testing.T) {
	g := fixed()
	g.leave(nil, false)
	no := fmt.Errorf("%w: wrong host key", fs.ErrPermission)
	require.False(t, g.leave(no, false))
	require.ErrorIs(t, g.enter(t.Context()), no)
}

// Who gives up has learnt nothing about the daemon.
func TestGateGaveUp(t *testing.T) {
	g := fixed()
	require.False(t, g.leave(context.Canceled, true))
	require.NoError(t, g.enter(t.Context()))
	require.False(t, g.leave(errDown, false))
	g.next = time.Time{}
	require.NoError(t, g.enter(t.Context()))
	require.ErrorIs(t, g.enter(t.Context()), errDown)
	g.leave(context.Canceled, true)
	require.NoError(t, g.enter(t.Context()), "the turn of who gave up is the next one's")
}

// The gate belongs to one Backend, and the dialer is spared.
func TestGateSparesTheDialer(t *testing.T) {
	var dials atomic.Int64
	b := New(&Options{Dial: func(context.Context) (net.Conn, error) {
		dials.Add(1)
		return nil, syscall.ECONNREFUSED
	}})
	require.NoError(t, b.conns.setTarget(b.opts))
	b.conns.gate.jitter = func() float64 { return 1 }
	for range 1000 {
		err := b.read(t.Context(), nothing)
		require.ErrorIs(t, err, provision.ErrUnavailable)
		require.True(t, errors.Is(err, syscall.ECONNREFUSED))
	}
	require.Less(t, dials.Load(), int64(20))
	require.NoError(t, b.Close())
}
