//go:build linux

package kvmtest_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// fault is one thing that goes wrong.
type fault struct {
	name string
	// timeout of each exchange with libvirtd. Default: the backend's own.
	timeout time.Duration
	// begin makes it so for all verbs, and returns what ends it.
	begin func(*testing.T, *matrix) (end func())
	// during strikes in the middle of each verb; then libvirtd is started anew.
	during func(*testing.T, *matrix, matrixVerb)
	// want lists what verbs may answer; that of "" is for all others.
	want map[string][]string
	// stays lists verbs that fail after it too, for a good reason.
	stays []string
}

func (f *fault) expect(verb string) []string {
	if want, ok := f.want[verb]; ok {
		return want
	}
	return f.want[""]
}

func (f *fault) lasting(verb string) bool { return slices.Contains(f.stays, verb) }

func oneOf(names ...string) []string { return names }

// faults are the columns of the matrix.
func faults() []fault {
	done, away := oneOf("done"), oneOf("ErrUnavailable")
	return []fault{
		{name: "none", want: map[string][]string{"": done}},
		{
			name: "libvirtd killed", during: func(t *testing.T, m *matrix, _ matrixVerb) { require.NoError(t, m.rig.Kill()) },
			want: map[string][]string{"": oneOf("done", "ErrUnavailable")},
		},
		{
			name: "libvirtd restarted", begin: func(t *testing.T, m *matrix) func() {
				require.NoError(t, m.rig.Restart(t.Context()))
				return func() {}
			},
			want: map[string][]string{"": done},
		},
		{
			name: "libvirtd stopped", begin: func(t *testing.T, m *matrix) func() {
				require.NoError(t, m.rig.Down())
				return func() { require.NoError(t, m.rig.Up(t.Context())) }
			},
			want: map[string][]string{"": away},
		},
		{
			name: "libvirtd frozen", timeout: time.Second, begin: func(t *testing.T, m *matrix) func() {
				require.NoError(t, m.rig.Freeze())
				return func() { require.NoError(t, m.rig.Thaw()) }
			},
			want: map[string][]string{"": away},
		},
		{
			name: "QEMU killed", begin: func(t *testing.T, m *matrix) func() {
				m.everyGuest(t, syscall.SIGKILL)
				m.awaitNoGuests(t)
				return func() {}
			},
			want:  map[string][]string{"": done, "pause": oneOf("ErrState"), "resume": oneOf("ErrState"), "restart": oneOf("ErrState"), "console": oneOf("ErrState")},
			stays: []string{"pause", "resume", "restart", "console"},
		},
		{
			name: "QEMU stopped", timeout: 40 * time.Second, begin: func(t *testing.T, m *matrix) func() {
				m.everyGuest(t, syscall.SIGSTOP)
				return func() { m.everyGuest(t, syscall.SIGCONT) }
			},
			want: map[string][]string{"": done, "pause": oneOf("ErrUnavailable", "ErrBusy"), "resume": oneOf("ErrUnavailable", "ErrBusy"), "usage": oneOf("done", "ErrUnavailable")},
		},
		{
			name: "disk full in the pool", begin: func(t *testing.T, m *matrix) func() {
				file := filepath.Join(m.pool, "filler")
				m.inside(t, "sh", "-c", "cat /dev/zero >"+file+" 2>/dev/null || :")
				return func() { m.inside(t, "rm", file) }
			},
			want: map[string][]string{"": done, "create": oneOf("ENOSPC"), "import": oneOf("ENOSPC")},
		},
		{
			name: "image removed", begin: func(t *testing.T, m *matrix) func() {
				volume := m.imageVolume(t)
				file := filepath.Join(m.pool, volume)
				kept := filepath.Join(m.rig.Dir, "kept")
				m.inside(t, "cp", file, kept)
				m.virsh(t, "vol-delete", volume, "--pool", "small")
				return func() {
					m.inside(t, "mv", kept, file)
					m.virsh(t, "pool-refresh", "small")
				}
			},
			want: map[string][]string{"": done, "create": oneOf("ErrNotFound"), "plan": oneOf("ErrNotFound"), "render": oneOf("ErrNotFound"),
				"start": oneOf("failed"), "restart": oneOf("failed"), "unsuspend": oneOf("failed")},
			stays: []string{"restart"}, // it was stopped, and could not be started
		},
		{
			name: "bridge gone", begin: func(t *testing.T, m *matrix) func() {
				m.inside(t, "ip", "link", "del", m.rig.Bridge)
				return func() {
					m.inside(t, "ip", "link", "add", m.rig.Bridge, "type", "bridge")
					m.inside(t, "ip", "link", "set", m.rig.Bridge, "up")
				}
			},
			want: map[string][]string{"": done, "create": oneOf("ErrInvalid"), "plan": oneOf("ErrInvalid"), "render": oneOf("ErrInvalid"), "start": oneOf("ErrInvalid")},
		},
	}
}

func (m *matrix) everyGuest(t *testing.T, sig syscall.Signal) {
	t.Helper()
	names, err := m.rig.Guests()
	require.NoError(t, err)
	for _, name := range names {
		m.signalGuest(t, name, sig)
	}
}

func (m *matrix) awaitNoGuests(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		running, err := m.rig.Virsh(t.Context(), "list", "--name")
		return err == nil && strings.TrimSpace(running) == ""
	}, 20*time.Second, 20*time.Millisecond)
}

// imageVolume finds the volume with the image's content.
func (m *matrix) imageVolume(t *testing.T) string {
	t.Helper()
	for _, name := range strings.Fields(m.inside(t, "ls", m.pool)) {
		if strings.HasPrefix(name, "image-halt.") && !strings.HasSuffix(name, ".json") {
			return name
		}
	}
	require.Fail(t, "there is no volume of the image")
	return ""
}

// matrixVerb is a row of the matrix.
type matrixVerb struct {
	name string
	from provision.State // of the guest that it is for
	do   func(ctx context.Context, m *matrix, h *provision.Host, name string) error
}

func (v matrixVerb) guest() string { return "m-" + strings.ReplaceAll(v.name, " ", "-") }

// onGuest is a verb of a guest.
func onGuest(do func(context.Context, *provision.Guest) error) func(context.Context, *matrix, *provision.Host, string) error {
	return func(ctx context.Context, _ *matrix, h *provision.Host, name string) error {
		g, err := h.Guest(ctx, name)
		if err != nil {
			return err
		}
		return do(ctx, g)
	}
}

func onHost(do func(context.Context, *provision.Host) error) func(context.Context, *matrix, *provision.Host, string) error {
	return func(ctx context.Context, _ *matrix, h *provision.Host, _ string) error { return do(ctx, h) }
}

// matrixVerbs are the rows of the matrix.
func matrixVerbs() []matrixVerb {
	force := &provision.StopOptions{Force: true}
	const absent, stopped, running = provision.StateAbsent, provision.StateStopped, provision.StateRunning
	return []matrixVerb{
		{"open", absent, func(ctx context.Context, m *matrix, _ *provision.Host, _ string) error { return m.tryOpen(ctx) }},
		{"list", absent, onHost(func(ctx context.Context, h *provision.Host) error {
			for _, err := range h.Guests(ctx, nil) {
				if err != nil {
					return err
				}
			}
			return nil
		})},
		{"plan", absent, onHost(func(ctx context.Context, h *provision.Host) error {
			_, err := h.Plan(ctx, wired("m-plan"))
			return err
		})},
		{"create", absent, onHost(func(ctx context.Context, h *provision.Host) error {
			s := wired("m-create")
			s.Key = "matrix"
			_, err := h.Create(ctx, s, nil)
			return err
		})},
		{"render", absent, onHost(func(ctx context.Context, h *provision.Host) error {
			_, err := h.Render(ctx, wired("m-render"))
			return err
		})},
		{"orphans", absent, onHost(func(ctx context.Context, h *provision.Host) error { _, err := h.Orphans(ctx, nil); return err })},
		{"images", absent, onHost(func(ctx context.Context, h *provision.Host) error { _, err := h.Images(ctx); return err })},
		{"import", absent, onHost(func(ctx context.Context, h *provision.Host) error {
			_, err := h.ImportImage(ctx, "m-import", bytes.NewReader(bytes.Repeat([]byte("content "), 1<<18)), &provision.ImportOptions{Format: "raw"})
			return ignore(err, provision.ErrExists)
		})},
		{"check", absent, onHost(func(ctx context.Context, h *provision.Host) error { _, err := h.Check(ctx); return err })},
		{"status", running, onGuest(func(ctx context.Context, g *provision.Guest) error { _, err := g.Status(ctx); return err })},
		{"start", stopped, onGuest(func(ctx context.Context, g *provision.Guest) error { return g.Start(ctx, nil) })},
		{"stop", running, onGuest(func(ctx context.Context, g *provision.Guest) error { _, err := g.Stop(ctx, force); return err })},
		{"shut down", running, onGuest(func(ctx context.Context, g *provision.Guest) error {
			_, err := g.Stop(ctx, &provision.StopOptions{Grace: time.Second})
			return err
		})},
		{"restart", running, onGuest(func(ctx context.Context, g *provision.Guest) error { _, err := g.Restart(ctx, force); return err })},
		{"pause", running, onGuest(func(ctx context.Context, g *provision.Guest) error { return g.Pause(ctx) })},
		{"resume", provision.StatePaused, onGuest(func(ctx context.Context, g *provision.Guest) error { return g.Resume(ctx) })},
		{"suspend", running, onGuest(func(ctx context.Context, g *provision.Guest) error {
			_, err := g.Suspend(ctx, "payment", force)
			return err
		})},
		{"unsuspend", running, onGuest(func(ctx context.Context, g *provision.Guest) error { return g.Unsuspend(ctx, "payment") })},
		{"labels", stopped, onGuest(func(ctx context.Context, g *provision.Guest) error {
			return g.SetLabels(ctx, map[string]string{"customer": "77"})
		})},
		{"autostart", stopped, onGuest(func(ctx context.Context, g *provision.Guest) error { return g.SetAutostart(ctx, true) })},
		{"usage", running, onGuest(func(ctx context.Context, g *provision.Guest) error { _, err := g.Usage(ctx); return err })},
		{"addresses", running, onGuest(func(ctx context.Context, g *provision.Guest) error { _, err := g.Addresses(ctx); return err })},
		{"console", running, onGuest(func(ctx context.Context, g *provision.Guest) error {
			c, err := g.Console(ctx, &provision.ConsoleOptions{Force: true})
			if err != nil {
				return err
			}
			return c.Close()
		})},
		{"console log", running, onGuest(func(ctx context.Context, g *provision.Guest) error { _, err := g.ConsoleLog(ctx, 0); return err })},
		{"delete", stopped, func(ctx context.Context, _ *matrix, h *provision.Host, name string) error {
			g, err := h.Guest(ctx, name)
			if err != nil {
				return ignore(err, provision.ErrNotFound)
			}
			return g.Delete(ctx, nil)
		}},
	}
}

func ignore(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

// tryOpen opens another Host.
func (m *matrix) tryOpen(ctx context.Context) error {
	h, err := provision.Open(ctx, m.backend(time.Second), &provision.Options{LockDir: m.lock})
	if err != nil {
		return err
	}
	return h.Close()
}
