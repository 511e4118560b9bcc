package provisiontest

import (
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guestforge/provision"
)

func closeCases() []testCase {
	return []testCase{
		rule("goroutines", "Close ends all goroutines, and a second Close does nothing", (*env).closeGoroutines),
		rule("guests", "Close leaves guests as they are", (*env).closeGuests),
	}
}

func (e *env) closeGoroutines() {
	g := e.create("a")
	now := goleak.IgnoreCurrent()
	h, err := e.suite.open(e.ctx, e.t, nil)
	require.NoError(e.t, err)
	same, err := h.Guest(e.ctx, g.Name())
	require.NoError(e.t, err)
	require.NoError(e.t, same.Start(e.ctx, nil))
	for ev, err := range h.Events(e.ctx, nil) {
		require.NoError(e.t, err)
		require.Equal(e.t, provision.EventReady, ev.Type)
		break
	}
	require.NoError(e.t, h.Close())
	require.NoError(e.t, h.Close())
	require.NoError(e.t, goleak.Find(now))
}

func (e *env) closeGuests() {
	h := e.open(nil)
	g, err := h.Create(e.ctx, e.spec("a"), nil)
	require.NoError(e.t, err)
	require.NoError(e.t, g.Start(e.ctx, nil))
	require.NoError(e.t, h.Close())
	same, err := e.Guest(e.ctx, g.Name())
	require.NoError(e.t, err)
	require.Equal(e.t, g.ID(), same.ID())
	e.state(same, provision.StateRunning)
}
