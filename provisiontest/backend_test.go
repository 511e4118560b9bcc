package provisiontest

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// openHost returns a Host on a backend, which needs no lock files if the
// machine is in memory.
func openHost(t *testing.T, b provision.Backend, o *provision.Options) *provision.Host {
	t.Helper()
	if o == nil {
		o = new(provision.Options)
	}
	o.LockDir = t.TempDir()
	h, err := provision.Open(t.Context(), b, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func newGuest(t *testing.T, b *Backend, h *provision.Host, name string) *provision.Guest {
	t.Helper()
	require.NoError(t, b.AddImage("base"))
	g, err := h.Create(t.Context(), provision.Spec{Name: name, Image: "base"}, nil)
	require.NoError(t, err)
	return g
}

func TestTimes(t *testing.T) {
	clock := NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	b := NewBackend(&BackendOptions{Clock: clock, BootTime: time.Minute, ShutdownTime: time.Minute})
	h := openHost(t, b, &provision.Options{Clock: clock})
	g := newGuest(t, b, h, "web1")
	state := func() provision.State {
		st, err := g.Status(t.Context())
		require.NoError(t, err)
		return st.State
	}
	require.NoError(t, g.Start(t.Context(), nil))
	require.Equal(t, provision.StateStarting, state())
	clock.Advance(time.Minute)
	require.Equal(t, provision.StateRunning, state())
	result, err := g.Stop(t.Context(), &provision.StopOptions{Grace: time.Hour})
	require.NoError(t, err)
	require.Equal(t, provision.StopShut, result)
	require.Equal(t, provision.StateStopped, state())
	require.NoError(t, g.Start(t.Context(), nil))
	result, err = g.Stop(t.Context(), &provision.StopOptions{Grace: time.Second})
	require.NoError(t, err)
	require.Equal(t, provision.StopKilled, result, "a minute is more than the grace")
}

func TestOutside(t *testing.T) {
	b := NewBackend(nil)
	h := openHost(t, b, nil)
	g := newGuest(t, b, h, "web1")
	state := func() provision.Status {
		st, err := g.Status(t.Context())
		require.NoError(t, err)
		return st
	}
	require.NoError(t, b.StartOutside("web1"))
	require.Equal(t, provision.StateRunning, state().State)
	require.NoError(t, b.Crash("web1"))
	require.Equal(t, provision.StateCrashed, state().State)
	require.Equal(t, "panicked", state().Reason)
	require.NoError(t, g.Start(t.Context(), nil), "a guest that crashed is started")
	require.NoError(t, b.PowerOff("web1"))
	require.Equal(t, provision.StateStopped, state().State)
	require.NoError(t, b.Write("web1", "login: "))
	text, err := g.ConsoleLog(t.Context(), int64(len("BOOTED-OK web1\n")))
	require.NoError(t, err)
	require.Equal(t, "login: ", string(text))
	_, err = g.Suspend(t.Context(), "abuse", nil)
	require.NoError(t, err)
	require.ErrorIs(t, b.StartOutside("web1"), provision.ErrSuspended)
	require.ErrorIs(t, b.AddForeign("web1"), provision.ErrExists)
	require.ErrorIs(t, b.Crash("nobody"), provision.ErrNotFound)
	require.NoError(t, b.RemoveOutside("web1"))
	_, err = g.Status(t.Context())
	require.ErrorIs(t, err, provision.ErrNotFound)
	require.Equal(t, "image \"base\" raw, 1048576 bytes\n", b.String())
}

func TestDown(t *testing.T) {
	b := NewBackend(nil)
	h := openHost(t, b, nil)
	g := newGuest(t, b, h, "web1")
	b.SetDown(true)
	_, err := g.Status(t.Context())
	require.ErrorIs(t, err, provision.ErrUnavailable)
	_, err = provision.Open(t.Context(), downBackend(), nil)
	require.ErrorIs(t, err, provision.ErrUnavailable)
	b.SetDown(false)
	_, err = g.Status(t.Context())
	require.NoError(t, err)
}

func downBackend() *Backend {
	b := NewBackend(nil)
	b.SetDown(true)
	return b
}

// TestMissing: the verbs refuse by themselves what Info.Missing names.
func TestMissing(t *testing.T) {
	missing := map[provision.Feature]string{}
	for _, f := range provision.Features() {
		missing[f] = "not today"
	}
	b := NewBackend(&BackendOptions{Missing: missing})
	ctx := t.Context()
	verbs := map[string]func() error{
		"Pause":        func() error { return b.Pause(ctx, "x") },
		"Resume":       func() error { return b.Resume(ctx, "x") },
		"SetAutostart": func() error { return b.SetAutostart(ctx, "x", true) },
		"ConsoleLog":   func() error { _, err := b.ConsoleLog(ctx, "x", 0); return err },
		"Images":       func() error { _, err := b.Images(ctx); return err },
		"ImportImage":  func() error { _, err := b.ImportImage(ctx, nil, nil, nil); return err },
		"RemoveImage":  func() error { return b.RemoveImage(ctx, "x") },
		"Check":        func() error { _, err := b.Check(ctx); return err },
		"Watch": func() error {
			for _, err := range b.Watch(ctx) {
				return err
			}
			return nil
		},
		"Create": func() error {
			return b.Create(ctx, &provision.NewGuest{Spec: &provision.Spec{Name: "x", CPU: provision.CPU{Limit: 1}}}, nil)
		},
	}
	for name, verb := range verbs {
		require.ErrorIs(t, verb(), errors.ErrUnsupported, name)
	}
}

func TestWeak(t *testing.T) {
	b := NewBackend(&BackendOptions{Weak: map[provision.Feature]string{provision.FeatureDiskIOPS: "no cgroup"}})
	h := openHost(t, b, nil)
	require.NoError(t, b.AddImage("base"))
	spec := provision.Spec{Name: "web1", Image: "base", Disks: []provision.Disk{{IOPS: 100}}}
	p, err := h.Plan(t.Context(), spec)
	require.NoError(t, err)
	require.Contains(t, p.Limits, provision.Limit{Path: "disks[0].iops", Want: "100", Enforcement: provision.NotEnforced, Reason: "no cgroup"})
	spec.Needs.Strict = true
	_, err = h.Create(t.Context(), spec, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

func TestPreflight(t *testing.T) {
	b := NewBackend(&BackendOptions{CPUs: 2, Memory: provision.GiB})
	h := openHost(t, b, nil)
	require.NoError(t, b.AddImage("base"))
	cases := []struct {
		name string
		spec provision.Spec
		want error
		text string
	}{
		{"no image", provision.Spec{Image: "none"}, provision.ErrNotFound, `image: "none" is not in the store`},
		{"CPUs", provision.Spec{Image: "base", CPU: provision.CPU{Count: 3}}, provision.ErrInvalid, "cpu.count"},
		{"memory", provision.Spec{Image: "base", Memory: provision.Memory{Size: 2 * provision.GiB}}, provision.ErrInvalid, "memory.size"},
		{"native", provision.Spec{Native: &Native{}, CPU: provision.CPU{Count: 2}}, nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Name = "web1"
			_, err := h.Plan(t.Context(), c.spec)
			require.ErrorIs(t, err, c.want)
			if c.want != nil {
				require.ErrorContains(t, err, c.text)
			}
		})
	}
}

func TestEventsLost(t *testing.T) {
	b := NewBackend(&BackendOptions{EventBuffer: 3})
	next, stop := iter.Pull2(b.Watch(t.Context()))
	defer stop()
	want := func(typ provision.EventType, name string, count int) {
		t.Helper()
		e, err, ok := next()
		require.True(t, ok)
		require.NoError(t, err)
		require.Equal(t, typ, e.Type)
		require.Equal(t, name, e.Name)
		require.Equal(t, count, e.Count)
	}
	want(provision.EventReady, "", 0)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		require.NoError(t, b.AddForeign(name))
	}
	want(provision.EventLost, "", 2)
	want(provision.EventCreated, "c", 0)
	want(provision.EventCreated, "d", 0)
	want(provision.EventCreated, "e", 0)
	require.NoError(t, b.Close())
	_, err, ok := next()
	require.True(t, ok)
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestCheckFindsLeftovers(t *testing.T) {
	b := NewBackend(nil)
	s := &provision.Steps{}
	id := provision.ID("0")
	spec := provision.Spec{Name: "web1", Disks: make([]provision.Disk, 1)}
	require.NoError(t, b.Create(t.Context(), &provision.NewGuest{ID: id, Spec: &spec}, s))
	require.NoError(t, b.outside(func(m *machine) error { m.undefine(id); return nil }))
	left, err := b.Leftovers()
	require.NoError(t, err)
	require.Equal(t, []string{"seed 0-seed", "volume 0-disk 0"}, left)
	found, err := b.Check(context.Background())
	require.NoError(t, err)
	require.Len(t, found, 1+len(left))
	require.NoError(t, b.Delete(t.Context(), id, s), "by ID alone")
	left, err = b.Leftovers()
	require.NoError(t, err)
	require.Empty(t, left)
}
