package provision_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// Around sees every call of the backend and every step, and nothing happens
// without it.
func TestAroundSeesEverything(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	var g *provision.Guest
	s := with(small(), func(s *provision.Spec) { s.Key, s.Autostart, s.Disks = "k", true, make([]provision.Disk, 1) })
	for _, c := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"open", func() error { return nil }, []string{"probe"}},
		{"plan", func() error { _, err := r.Plan(ctx, s); return err }, []string{"inspect", "list", "inspect", "preflight"}},
		{"create", func() (err error) { g, err = r.Create(ctx, s, nil); return err }, []string{
			"list", "inspect", "preflight", "create", "create/define", "create/disk 0", "create/seed", "record", "autostart",
		}},
		{"create again", func() error { _, err := r.Create(ctx, s, nil); return err }, []string{"list", "inspect"}},
		{"start", func() error { return g.Start(ctx, nil) }, []string{"inspect", "start"}},
		{"start again", func() error { return g.Start(ctx, nil) }, []string{"inspect"}},
		{"pause", func() error { return g.Pause(ctx) }, []string{"inspect", "pause"}},
		{"stop", func() error { _, err := g.Stop(ctx, nil); return err }, []string{"inspect", "resume", "shutdown by agent", "shutdown", "inspect"}},
		{"force", func() error {
			return errors.Join(g.Start(ctx, nil), second(g.Stop(ctx, &provision.StopOptions{Force: true})))
		}, []string{"inspect", "start", "inspect", "kill"}},
		{"labels", func() error { return g.SetLabels(ctx, map[string]string{"a": "b"}) }, []string{"inspect", "record"}},
		{"same labels", func() error { return g.SetLabels(ctx, map[string]string{"a": "b"}) }, []string{"inspect"}},
		{"suspend", func() error { return second(g.Suspend(ctx, "abuse", nil)) }, []string{"inspect", "record", "autostart", "block"}},
		{"unsuspend", func() error { return g.Unsuspend(ctx, "abuse") }, []string{"inspect", "record", "autostart", "block", "record"}},
		{"resize", func() error {
			return second(g.Resize(ctx, with(s, func(s *provision.Spec) { s.CPU.Limit, s.Labels = 1, map[string]string{"a": "b"} }), nil))
		}, []string{"inspect", "fit resize", "record", "resize", "resize/limits", "resize/disk 0", "inspect", "record"}},
		{"snapshot", func() error { return second(g.Snapshot(ctx, "s", nil)) }, []string{
			"inspect", "snapshots", "snapshot", "snapshot/begin", "snapshot/copy", "snapshot/commit",
		}},
		{"snapshots", func() error { return second(g.Snapshots(ctx)) }, []string{"inspect", "snapshots"}},
		{"restore", func() error { return g.RestoreSnapshot(ctx, "s", nil) }, []string{
			"inspect", "snapshots", "record", "restore", "restore/look", "restore/exchange", "record",
		}},
		{"delete snapshot", func() error { return g.DeleteSnapshot(ctx, "s") }, []string{"inspect", "snapshots", "delete snapshot", "delete snapshot/remove"}},
		{"delete", func() error { return g.Delete(ctx, nil) }, []string{
			"inspect", "record", "autostart", "delete", "delete/kill", "delete/disk 0", "delete/seed", "delete/guest",
		}},
		{"delete again", func() error { return g.Delete(ctx, nil) }, []string{"inspect"}},
	} {
		skip := len(r.faults.Calls())
		if c.name == "open" {
			skip = 0
		}
		require.NoError(t, c.do(), c.name)
		require.Equal(t, c.want, r.ops(skip), c.name)
	}
	for _, call := range r.faults.Calls()[1:] {
		require.Equal(t, "sim", call.Kind)
	}
}

func second[T any](_ T, err error) error { return err }

// An Around that refuses keeps the call from happening.
func TestAroundRefuses(t *testing.T) {
	no := errors.New("audit says no")
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{Around: func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
		if c.Op == "start" {
			return no
		}
		return next(ctx)
	}})
	g := r.create(small())
	require.ErrorIs(t, g.Start(t.Context(), nil), no)
	require.Equal(t, provision.StateStopped, r.state(g))
}

// No secret is in a log, whatever is called and whatever fails.
func TestNoSecretsInLogs(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{
		Residency: "NO", Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
	})
	ctx := t.Context()
	s := rich()
	s.Native = &provisiontest.Native{Settings: map[string]string{"token": "NATIVEsecret"}}
	r.faults.Before("create", "seed", errors.New("no space"))
	r.faults.Before("undo", "", errors.New("no space"))
	_, err := r.Create(ctx, s, nil)
	require.Error(t, err)
	g := r.create(s) // replaces what is left
	require.NoError(t, g.Start(ctx, nil))
	_, err = r.Plan(ctx, s)
	require.NoError(t, err)
	_, conflict := r.Create(ctx, with(s, func(s *provision.Spec) { s.Access.PasswordHash += "x" }), nil)
	require.ErrorIs(t, conflict, provision.ErrConflict)
	_, err = g.Suspend(ctx, "payment", nil)
	require.NoError(t, err)
	require.NoError(t, g.Delete(ctx, nil))

	text := log.String() + conflict.Error()
	require.Contains(t, text, "op=create")
	require.Contains(t, text, "level=WARN")
	require.Contains(t, text, "replacing an incomplete guest")
	key := strings.Fields(secretKey())[1]
	for _, secret := range []string{"HASHhash", "SALTsalt", "USERDATA", "KEYcomment", "NATIVE", key, "cloud-config"} {
		require.NotContains(t, text, secret)
	}
}

func TestProgressIsInOrder(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	var steps []string
	note := func(p provision.Progress) { steps = append(steps, p.Step) }
	s := with(small(), func(s *provision.Spec) { s.Disks = []provision.Disk{{}, {Size: provision.GiB}} })
	g, err := r.Create(t.Context(), s, &provision.CreateOptions{Progress: note})
	require.NoError(t, err)
	require.Equal(t, []string{"define", "disk 0", "disk 1", "seed"}, steps)
	steps = nil
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Progress: note}))
	require.Equal(t, []string{"kill", "disk 1", "disk 0", "seed", "guest"}, steps)
}

func TestClose(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	require.NoError(t, r.Close())
	require.NoError(t, r.Close(), "twice is once")
	ctx := t.Context()
	skip := len(r.faults.Calls())
	for name, err := range map[string]error{
		"create": second(r.Create(ctx, small(), nil)), "plan": second(r.Plan(ctx, small())), "guest": second(r.Guest(ctx, "web1")),
		"status": second(g.Status(ctx)), "start": g.Start(ctx, nil), "stop": second(g.Stop(ctx, nil)), "delete": g.Delete(ctx, nil),
		"wait": second(g.Wait(ctx, provision.UntilGone())), "images": second(r.Images(ctx)), "check": second(r.Check(ctx)),
		"suspend": second(g.Suspend(ctx, "abuse", nil)), "console": second(g.ConsoleLog(ctx, 0)), "remove image": r.RemoveImage(ctx, "debian-12"),
	} {
		require.ErrorIs(t, err, fs.ErrClosed, name)
		require.NotErrorIs(t, err, provision.ErrUnavailable, name)
	}
	for _, err := range r.Guests(ctx, nil) {
		require.ErrorIs(t, err, fs.ErrClosed)
	}
	require.Len(t, r.faults.Calls(), skip, "a closed Host does not call the backend")
	require.Equal(t, "sim", r.Info().Kind)
}

func TestResidency(t *testing.T) {
	for _, c := range []struct{ host, guest, reason string }{
		{"", "", ""},
		{"NO", "", ""},
		{"NO", "NO", ""},
		{"NO", "SE", "the guest must stay in SE and this host is in NO"},
		{"", "NO", "Options.Residency does not say where this host is"},
	} {
		t.Run(fmt.Sprintf("%q on %q", c.guest, c.host), func(t *testing.T) {
			r := newRig(t, provisiontest.BackendOptions{}, provision.Options{Residency: c.host})
			_, err := r.Create(t.Context(), with(small(), func(s *provision.Spec) { s.Needs.Residency = c.guest }), nil)
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, errors.ErrUnsupported)
			var no *provision.UnsupportedError
			require.ErrorAs(t, err, &no)
			require.Equal(t, &provision.UnsupportedError{Feature: provision.FeatureResidency, Kind: "sim", Reason: c.reason}, no)
		})
	}
	for _, bad := range []string{"no", "NOR", "N", "N0", "NO\n", "ΝΟ"} {
		h, err := provision.Open(t.Context(), provisiontest.NewBackend(nil), &provision.Options{Residency: bad})
		require.ErrorIs(t, err, provision.ErrInvalid, "%q", bad)
		require.ErrorContains(t, err, "Options.Residency")
		require.Nil(t, h)
	}
}

func TestStrict(t *testing.T) {
	weak := map[provision.Feature]string{provision.FeatureDiskIOPS: "no io controller", provision.FeatureMemorySwap: "no swap accounting"}
	r := newRig(t, provisiontest.BackendOptions{Weak: weak}, provision.Options{Residency: "NO"})
	s := with(rich(), func(s *provision.Spec) { s.Needs.Strict = true })
	before := r.backend.String()
	_, err := r.Create(t.Context(), s, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "disks.iops is not supported by sim here: disks[0].iops would be not enforced (no io controller), and needs.strict is set")
	require.ErrorContains(t, err, "memory.swap")
	require.Equal(t, before, r.backend.String(), "nothing was made")

	s.Disks[0].IOPS, s.Memory.Swap = 0, 0
	g := r.create(s)
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, st.Limits)
	for _, l := range st.Limits {
		require.Equal(t, provision.Enforced, l.Enforcement, l.Path)
	}
}

func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	shared := func() *provisiontest.Backend {
		return provisiontest.NewBackend(&provisiontest.BackendOptions{File: filepath.Join(dir, "machine")})
	}
	_, err := provision.Open(t.Context(), shared(), &provision.Options{LockDir: filepath.Join(file, "locks")})
	require.ErrorContains(t, err, "Options.LockDir")
	require.ErrorContains(t, err, file)

	locks := filepath.Join(dir, "a", "locks")
	for range 2 {
		h, err := provision.Open(t.Context(), shared(), &provision.Options{LockDir: locks})
		require.NoError(t, err)
		defer h.Close()
	}
	entries, err := os.ReadDir(locks)
	require.NoError(t, err)
	require.Len(t, entries, 1, "one file for a machine")
	require.Regexp(t, `^sim-[A-Za-z0-9_-]+\.lock$`, entries[0].Name())
}

func TestErrorFormats(t *testing.T) {
	cause := errors.New("cause")
	for want, err := range map[string]error{
		`provision: start kvm "web1": cause`:             &provision.Error{Op: "start", Kind: "kvm", Guest: "web1", Err: cause},
		`provision: list on kvm: cause`:                  &provision.Error{Op: "list", Kind: "kvm", Err: cause},
		`provision: open: cause`:                         &provision.Error{Op: "open", Err: cause},
		`nics[0].vlan: "4095" is too big`:                &provision.FieldError{Path: "nics[0].vlan", Value: "4095", Problem: "is too big"},
		`name: "a\nb" is no name`:                        &provision.FieldError{Path: "name", Value: "a\nb", Problem: "is no name"},
		`image: is required`:                             &provision.FieldError{Path: "image", Problem: "is required"},
		`pause is not supported by lxc here: no freezer`: &provision.UnsupportedError{Feature: "pause", Kind: "lxc", Reason: "no freezer"},
		`line 3, column 7: cpu.count: is wrong`:          &provision.ManifestError{Line: 3, Column: 7, Path: "cpu.count", Problem: "is wrong"},
		`line 3: is wrong`:                               &provision.ManifestError{Line: 3, Problem: "is wrong"},
		`is wrong`:                                       &provision.ManifestError{Problem: "is wrong"},
	} {
		require.EqualError(t, err, want)
	}
	require.ErrorIs(t, &provision.Error{Err: cause}, cause)
	require.NotErrorIs(t, &provision.UnsupportedError{}, provision.ErrInvalid)

	away := provisiontest.NewBackend(nil)
	away.SetDown(true)
	_, err := provision.Open(t.Context(), away, nil)
	require.ErrorIs(t, err, provision.ErrUnavailable)
	require.Regexp(t, `^provision: open: .*unavailable`, err.Error())
}

// An error is wrapped once, however deep it comes from.
func TestErrorIsAddedOnce(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	boom := errors.New("boom")
	r.faults.Before("console", "", boom)
	_, err := g.Wait(t.Context(), provision.UntilConsole("x", 0))
	require.ErrorIs(t, err, boom)
	require.Equal(t, 1, strings.Count(err.Error(), "provision: "), "%v", err)

	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	err = g.Start(ctx, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var e *provision.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, [3]string{"start", "sim", "web1"}, [3]string{e.Op, e.Kind, e.Guest})
}
