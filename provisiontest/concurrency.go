package provisiontest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// crowd is how many goroutines want the same thing.
const crowd = 4

func concurrencyCases() []testCase {
	return []testCase{
		rule("one-name", "of many goroutines that create one name, one succeeds and the others get ErrExists", (*env).goroutinesOneName),
		rule("one-key", "many goroutines that create with one Key all get the same guest", (*env).goroutinesOneKey),
		rule("two-backends", "the rule about one name holds for Hosts on backends of their own", (*env).hostsOneName),
		rule("processes-one-name", "of two processes that create one name, one succeeds and the other gets ErrExists", (*env).processesOneName),
		rule("processes-one-key", "two processes that create with one Key get the same guest", (*env).processesOneKey),
		rule("one-guest", "operations on one guest never overlap, on several Hosts either", (*env).serialised),
		rule("different-guests", "operations on different guests do not wait for each other", (*env).parallel),
	}
}

// together runs f on many goroutines at once and returns what they returned.
func together[T any](f func(i int) (T, error)) ([]T, []error) {
	values, errs := make([]T, crowd), make([]error, crowd)
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() { values[i], errs[i] = f(i) })
	}
	all.Wait()
	return values, errs
}

// oneWinner requires that all but one failed with ErrExists.
func (e *env) oneWinner(errs []error) {
	e.t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(e.t, err, provision.ErrExists)
	}
	require.Equal(e.t, 1, won, "how many succeeded")
	g, err := e.Guest(e.ctx, e.name("a"))
	require.NoError(e.t, err)
	e.state(g, provision.StateStopped)
}

func (e *env) goroutinesOneName() {
	spec := e.spec("a")
	_, errs := together(func(int) (*provision.Guest, error) { return e.Create(e.ctx, spec, nil) })
	e.oneWinner(errs)
}

func (e *env) hostsOneName() {
	hosts := make([]*provision.Host, crowd)
	for i := range hosts {
		hosts[i] = e.open(nil)
	}
	spec := e.spec("a")
	_, errs := together(func(i int) (*provision.Guest, error) { return hosts[i].Create(e.ctx, spec, nil) })
	e.oneWinner(errs)
}

func (e *env) goroutinesOneKey() {
	spec := e.keyed("a")
	guests, errs := together(func(int) (*provision.Guest, error) { return e.Create(e.ctx, spec, nil) })
	require.NoError(e.t, errors.Join(errs...))
	for _, g := range guests {
		require.Equal(e.t, guests[0].ID(), g.ID())
	}
}

func (e *env) processesOneName() {
	j := job{Do: "create", Name: e.name("a")}
	won := 0
	for _, r := range e.race(j, j) {
		if r.Err == "" {
			won++
			continue
		}
		require.Contains(e.t, r.Err, provision.ErrExists.Error())
	}
	require.Equal(e.t, 1, won, "how many succeeded")
	g, err := e.Guest(e.ctx, e.name("a"))
	require.NoError(e.t, err)
	e.state(g, provision.StateStopped)
}

func (e *env) processesOneKey() {
	j := job{Do: "create", Name: e.name("a"), Key: "key-" + e.name("a")}
	results := e.race(j, j)
	for _, r := range results {
		require.Empty(e.t, r.Err)
		require.Equal(e.t, results[0].ID, r.ID)
	}
	require.Equal(e.t, results[0].ID, e.make(e.keyed("a")).ID())
}

func (e *env) serialised() {
	g := e.create("a")
	var inside, overlaps atomic.Int32
	watch := func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
		if c.Op != "record" && c.Op != "start" && c.Op != "kill" {
			return next(ctx)
		}
		if inside.Add(1) > 1 {
			overlaps.Add(1)
		}
		defer inside.Add(-1)
		return next(ctx)
	}
	handles := make([]*provision.Guest, crowd)
	for i := range handles {
		h := e.open(watch)
		same, err := h.Guest(e.ctx, g.Name())
		require.NoError(e.t, err)
		handles[i] = same
	}
	_, errs := together(func(i int) (int, error) {
		err := handles[i].SetLabels(e.ctx, map[string]string{"winner": fmt.Sprint(i)})
		if err == nil {
			err = handles[i].Start(e.ctx, nil)
		}
		return 0, err
	})
	require.NoError(e.t, errors.Join(errs...))
	require.Zero(e.t, overlaps.Load(), "calls that overlapped")
	require.Len(e.t, e.status(g).Labels, 1)
	e.state(g, provision.StateRunning)
}

func (e *env) parallel() {
	a, b := e.create("a"), e.create("b")
	hold := newHold("record")
	slow, err := e.open(hold.around).Guest(e.ctx, a.Name())
	require.NoError(e.t, err)
	done := make(chan error, 1)
	go func() { done <- slow.SetLabels(e.ctx, map[string]string{"a": "1"}) }()
	require.NoError(e.t, hold.wait(e.ctx))
	require.NoError(e.t, b.Start(e.ctx, nil), "while an operation on %s is under way", a.Name())
	e.create("c")
	select {
	case err := <-done:
		require.Fail(e.t, "the first operation should still be held", "%v", err)
	default:
	}
	hold.release()
	require.NoError(e.t, <-done)
}
