package provisiontest

import (
	"bytes"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func powerCases() []testCase {
	return []testCase{
		rule("status", "a new guest is stopped, managed and as its Spec says, and Guests tells the same as Status", (*env).newGuest),
		rule("shutdown", "a guest that has booted shuts down when it is asked", (*env).shutdown),
		rule("kill", "Force kills at once, and an asked guest has no more time than Grace", (*env).kill),
		rule("deaf", "a guest that ignores the request is killed after Grace and not before", (*env).deaf),
		rule("console", "the console log of a guest is read in parts, and is empty beyond its end", (*env).console),
		rule("autostart", "autostart is as the Spec says and SetAutostart sets it", (*env).autostart),
		rule("restart-paused", "stopping a paused guest lets it hear the request", (*env).stopPaused),
	}
}

func (e *env) newGuest() {
	spec := e.keyed("a")
	spec.Labels = map[string]string{"customer": "77"}
	g := e.make(spec)
	st := e.status(g)
	require.Equal(e.t, provision.StateStopped, st.State)
	require.True(e.t, st.Managed)
	require.Equal(e.t, spec.Name, st.Name)
	require.Equal(e.t, spec.Name, g.Name())
	require.Equal(e.t, g.ID(), st.ID)
	require.NotEmpty(e.t, g.ID())
	require.Equal(e.t, spec.Key, st.Key)
	require.Equal(e.t, spec.Image, st.Image)
	require.Equal(e.t, 1, st.CPUs, "the default")
	require.Equal(e.t, spec.Autostart, st.Autostart)
	require.Empty(e.t, st.Suspended)
	require.WithinDuration(e.t, e.clock().Now(), st.Created, e.Timeout)
	listed := e.listed(g)
	// What follows may be read from the kernel or the guest, at another moment.
	st.Limits, listed.Limits = nil, nil
	st.Addresses, listed.Addresses = nil, nil
	require.Empty(e.t, diff(st, listed), "Guests (+) and Status (-)")
}

// listed returns what Guests tells of a guest.
func (e *env) listed(g *provision.Guest) provision.Status {
	e.t.Helper()
	var found []provision.Status
	for st, err := range e.Guests(e.ctx, nil) {
		require.NoError(e.t, err)
		if st.ID == g.ID() {
			found = append(found, st)
		}
	}
	require.Len(e.t, found, 1, "%s in Guests", g.Name())
	return found[0]
}

// booted starts a guest and waits until it can hear a request. Where there is
// no console to tell, it returns false.
func (e *env) booted(g *provision.Guest) bool {
	e.t.Helper()
	require.NoError(e.t, g.Start(e.ctx, nil))
	e.state(g, provision.StateRunning)
	if !e.declared(provision.FeatureConsoleLog, func() error {
		_, err := g.ConsoleLog(e.ctx, 0)
		return err
	}) {
		return false
	}
	_, err := g.Wait(e.ctx, provision.UntilConsole(e.Booted, 0))
	require.NoError(e.t, err)
	return true
}

// gentle are the results of a guest that was not killed.
var gentle = []provision.StopResult{provision.StopShut, provision.StopAgent}

func (e *env) shutdown() {
	g := e.create("a")
	heard := e.booted(g)
	result, err := g.Stop(e.ctx, &provision.StopOptions{Grace: e.Grace})
	require.NoError(e.t, err)
	if heard {
		require.Contains(e.t, gentle, result)
	} else {
		require.NotEqual(e.t, provision.StopNone, result)
	}
	e.state(g, provision.StateStopped)
	result, err = g.Stop(e.ctx, nil)
	require.NoError(e.t, err)
	require.Equal(e.t, provision.StopNone, result, "of a guest that is off")
}

func (e *env) kill() {
	g := e.create("a")
	require.NoError(e.t, g.Start(e.ctx, nil))
	result, err := g.Stop(e.ctx, &provision.StopOptions{Force: true})
	require.NoError(e.t, err)
	require.Equal(e.t, provision.StopKilled, result)
	e.state(g, provision.StateStopped)
	require.NoError(e.t, g.Start(e.ctx, nil))
	result, err = g.Stop(e.ctx, &provision.StopOptions{Grace: time.Millisecond})
	require.NoError(e.t, err)
	require.NotEqual(e.t, provision.StopNone, result)
	e.state(g, provision.StateStopped)
}

func (e *env) deaf() {
	if e.Deaf == nil {
		// The nearest thing that every machine has: a guest without the time
		// to shut down must be off all the same.
		e.kill()
		return
	}
	g := e.make(e.Deaf(e.t, e.machine, e.name("deaf")))
	e.booted(g)
	grace := min(e.Grace, 2*time.Second)
	begin := e.clock().Now()
	result, err := g.Stop(e.ctx, &provision.StopOptions{Grace: grace})
	require.NoError(e.t, err)
	require.Equal(e.t, provision.StopKilled, result)
	require.GreaterOrEqual(e.t, e.clock().Now().Sub(begin), grace)
	e.state(g, provision.StateStopped)
}

func (e *env) console() {
	g := e.create("a")
	read := func(offset int64) ([]byte, error) { return g.ConsoleLog(e.ctx, offset) }
	if !e.declared(provision.FeatureConsoleLog, func() error { _, err := read(0); return err }) {
		_, err := g.Wait(e.ctx, provision.UntilConsole(e.Booted, 0))
		require.ErrorIs(e.t, err, errors.ErrUnsupported)
		return
	}
	text, err := read(0)
	require.NoError(e.t, err)
	require.Empty(e.t, text, "before the first start")
	e.booted(g)
	at := e.findOnConsole(read)
	rest, err := read(at)
	require.NoError(e.t, err)
	require.True(e.t, bytes.HasPrefix(rest, []byte(e.Booted)), "at offset %d: %.40q", at, rest)
	beyond, err := read(1 << 40)
	require.NoError(e.t, err)
	require.Empty(e.t, beyond)
}

// findOnConsole returns where the guest said that it has booted.
func (e *env) findOnConsole(read func(int64) ([]byte, error)) int64 {
	e.t.Helper()
	var all []byte
	for {
		part, err := read(int64(len(all)))
		require.NoError(e.t, err)
		all = append(all, part...)
		if at := bytes.Index(all, []byte(e.Booted)); at >= 0 {
			return int64(at)
		}
		require.NotEmpty(e.t, part, "the parts of the log should hold %q: %q", e.Booted, all)
	}
}

func (e *env) autostart() {
	g := e.make(e.keyed("a"))
	if !e.declared(provision.FeatureAutostart, func() error { return g.SetAutostart(e.ctx, true) }) {
		require.False(e.t, e.status(g).Autostart)
		return
	}
	require.True(e.t, e.status(g).Autostart)
	for _, on := range []bool{false, false, true, true} {
		require.NoError(e.t, g.SetAutostart(e.ctx, on))
		require.Equal(e.t, on, e.status(g).Autostart)
		require.Equal(e.t, on, e.listed(g).Autostart)
	}
}

func (e *env) stopPaused() {
	g := e.create("a")
	heard := e.booted(g)
	if !e.declared(provision.FeaturePause, func() error { return g.Pause(e.ctx) }) {
		return
	}
	require.NoError(e.t, g.Pause(e.ctx))
	result, err := g.Stop(e.ctx, &provision.StopOptions{Grace: e.Grace})
	require.NoError(e.t, err)
	if heard {
		require.Contains(e.t, gentle, result)
	}
	e.state(g, provision.StateStopped)
}
