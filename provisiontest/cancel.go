package provisiontest

import (
	"context"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func cancelCases() []testCase {
	return []testCase{
		rule("ended", "a context that has ended already is answered with its error, and nothing is made or changed", (*env).contextEnded),
		rule("create", "a context that ends at any step of a create leaves nothing", (*env).createCancelled),
		rule("wait", "Wait ends with its context", (*env).waitCancelled),
		rule("stop", "Stop ends with its context, and has not killed the guest", (*env).stopCancelled),
		rule("busy", "waiting for another operation ends with the context, as ErrBusy and the context's error", (*env).busy),
	}
}

func (e *env) contextEnded() {
	g := e.create("a")
	before, objects := e.status(g), e.leftovers()
	ended, cancel := context.WithCancel(e.ctx)
	cancel()
	late := *e
	late.ctx = ended
	for name, v := range verbs() {
		if v.feature == "" || e.Supports(v.feature) == nil {
			require.ErrorIs(e.t, v.run(&late, g), context.Canceled, name)
		}
	}
	_, err := e.Create(ended, e.spec("b"), nil)
	require.ErrorIs(e.t, err, context.Canceled)
	e.shaped(err, e.name("b"))
	for _, err := range e.Guests(ended, nil) {
		require.ErrorIs(e.t, err, context.Canceled)
	}
	_, err = provision.Open(ended, e.New(e.t, e.machine), e.options(e.t))
	require.ErrorIs(e.t, err, context.Canceled)
	require.Empty(e.t, diff(before, e.status(g)))
	require.Empty(e.t, diff(objects, e.leftovers()))
}

func (e *env) createCancelled() {
	list := e.createPoints()
	before := e.leftovers()
	last := list[len(list)-1]
	for _, p := range list {
		e.sub(p.String(), func(e *env) {
			ctx, cancel := context.WithCancel(e.ctx)
			defer cancel()
			h := e.open(func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
				hit := c.Op == p.Op && c.Step == p.Step
				if hit && !p.After {
					cancel()
				}
				err := next(ctx)
				if hit && p.After {
					cancel()
				}
				return err
			})
			g, err := h.Create(ctx, e.keyed("a"), nil)
			if err == nil {
				// Once the last write is under way it may take effect.
				require.Equal(e.t, last.Op, p.Op, "only the last write may win against the context")
				e.state(g, provision.StateStopped)
				e.delete(g)
			} else {
				require.ErrorIs(e.t, err, context.Canceled)
			}
			e.absent(e.name("a"))
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

func (e *env) waitCancelled() {
	g := e.create("a")
	ctx, cancel := e.soon()
	defer cancel()
	_, err := g.Wait(ctx, provision.UntilState(provision.StateRunning))
	require.ErrorIs(e.t, err, context.DeadlineExceeded)
	e.shaped(err, g.Name())
	_, err = g.Wait(e.ctx, provision.UntilState(provision.StateStopped))
	require.NoError(e.t, err, "what is so already needs no waiting")
}

func (e *env) stopCancelled() {
	g := e.create("a")
	require.NoError(e.t, g.Start(e.ctx, nil))
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	h := e.open(func(_ context.Context, c provision.Call, next func(context.Context) error) error {
		if c.Op == "shutdown" {
			// In place of the request: as if the guest were deaf.
			cancel()
			return nil
		}
		return next(ctx)
	})
	same, err := h.Guest(e.ctx, g.Name())
	require.NoError(e.t, err)
	_, err = same.Stop(ctx, &provision.StopOptions{Grace: time.Hour})
	require.ErrorIs(e.t, err, context.Canceled)
	e.state(g, provision.StateRunning)
}

func (e *env) busy() {
	g := e.create("a")
	hold := newHold("record")
	slow, err := e.open(hold.around).Guest(e.ctx, g.Name())
	require.NoError(e.t, err)
	done := make(chan error, 1)
	go func() { done <- slow.SetLabels(e.ctx, map[string]string{"a": "1"}) }()
	require.NoError(e.t, hold.wait(e.ctx))
	for _, h := range []*provision.Host{e.Host, e.open(nil)} {
		ctx, cancel := e.soon()
		same, err := h.Guest(e.ctx, g.Name())
		require.NoError(e.t, err, "looking needs no turn")
		err = same.Start(ctx, nil)
		cancel()
		require.ErrorIs(e.t, err, provision.ErrBusy)
		require.ErrorIs(e.t, err, context.DeadlineExceeded)
		e.state(g, provision.StateStopped)
	}
	hold.release()
	require.NoError(e.t, <-done)
	require.NoError(e.t, g.Start(e.ctx, nil), "afterwards it is free")
}

// hold keeps the first call of an op waiting.
type hold struct {
	op            string
	first         sync.Once
	reached, open chan struct{}
}

func newHold(op string) *hold {
	return &hold{op: op, reached: make(chan struct{}), open: make(chan struct{})}
}

func (h *hold) around(ctx context.Context, c provision.Call, next func(context.Context) error) error {
	if c.Op == h.op {
		h.first.Do(func() {
			close(h.reached)
			select {
			case <-h.open:
			case <-ctx.Done():
			}
		})
	}
	return next(ctx)
}

// wait returns when the call is held.
func (h *hold) wait(ctx context.Context) error {
	select {
	case <-h.reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hold) release() { close(h.open) }
