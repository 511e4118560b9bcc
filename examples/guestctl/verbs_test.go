package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/golden"
)

func (m *machine) status(name string) provision.Status {
	m.t.Helper()
	return fromJSON[provision.Status](m.t, m.ok("-json", "status", name))
}

// Each call is a process of its own in effect, so this is also the test that
// all of them share one state.
func TestLifeOfAGuest(t *testing.T) {
	m := withGuest(t)
	for _, step := range []struct {
		args  []string
		says  string
		state provision.State
	}{
		{[]string{"start", "web1"}, "web1: running\n", provision.StateRunning},
		{[]string{"start", "web1"}, "web1: running\n", provision.StateRunning},
		{[]string{"pause", "web1"}, "web1: paused", provision.StatePaused},
		{[]string{"resume", "web1"}, "web1: running\n", provision.StateRunning},
		{[]string{"restart", "-grace", "5s", "web1"}, "web1: running, it shut down\n", provision.StateRunning},
		{[]string{"restart", "web1", "-force"}, "web1: running, it was killed\n", provision.StateRunning},
		{[]string{"suspend", "web1", "-reason", "payment"}, "web1: stopped, it shut down (suspended for payment)\n", provision.StateStopped},
		{[]string{"suspend", "-reason=abuse", "web1"}, "web1: stopped, it was off (suspended for abuse, payment)\n", provision.StateStopped},
		{[]string{"unsuspend", "web1", "-reason", "abuse"}, "web1: stopped (suspended for payment)\n", provision.StateStopped},
		{[]string{"unsuspend", "web1", "-reason", "payment"}, "web1: running\n", provision.StateRunning},
		{[]string{"stop", "web1", "-grace", "5s"}, "web1: stopped, it shut down\n", provision.StateStopped},
		{[]string{"stop", "web1"}, "web1: stopped, it was off\n", provision.StateStopped},
	} {
		require.Contains(t, m.ok(step.args...), step.says, "%v", step.args)
		require.Equal(t, step.state, m.status("web1").State, "%v", step.args)
	}
	require.Equal(t, "web1: deleted\n", m.ok("delete", "web1"))
	require.Equal(t, "web1: was not there\n", m.ok("delete", "web1"))
	require.Equal(t, "image debian-12: removed\n", m.ok("image", "rm", "debian-12"))
	require.Equal(t, "image debian-12: was not there\n", m.ok("image", "rm", "debian-12"))
}

func TestSettings(t *testing.T) {
	m := withGuest(t)
	m.ok("autostart", "web1", "on")
	require.True(t, m.status("web1").Autostart)
	m.ok("autostart", "web1", "off")
	require.False(t, m.status("web1").Autostart)

	require.Equal(t, "label customer  77\n", m.ok("labels", "web1"))
	m.ok("labels", "web1", "a=b=c", "empty=")
	require.Equal(t, map[string]string{"a": "b=c", "empty": ""}, m.status("web1").Labels)
	m.ok("labels", "web1", "--", "a=1")
	require.Equal(t, map[string]string{"a": "1"}, m.status("web1").Labels)
	m.ok("labels", "-clear", "web1")
	require.Empty(t, m.status("web1").Labels)
}

func TestLookingAround(t *testing.T) {
	m := withGuest(t)
	require.Contains(t, m.ok("check"), "the hypervisor is simulated")
	require.Contains(t, m.ok("image", "list"), "debian-12  raw")
	require.Contains(t, m.ok("list"), "web1  stopped  1     512 MiB  debian-12")
	require.Contains(t, m.ok("status", "web1"), "label customer")
	m.ok("start", "web1")
	require.Equal(t, "BOOTED-OK web1\n", m.ok("console", "web1"))

	images := fromJSON[[]provision.Image](t, m.ok("-json", "image", "list"))
	require.Len(t, images, 1)
	require.EqualValues(t, 4096, images[0].Size)
	log := fromJSON[map[string]string](t, m.ok("console", "web1", "-json"))
	require.Equal(t, map[string]string{"name": "web1", "console": "BOOTED-OK web1\n"}, log)
	fromJSON[[]provision.Finding](t, m.ok("-json", "check"))
}

// The names of the fields are part of what scripts depend on.
func TestListInJSON(t *testing.T) {
	m := newMachine(t)
	require.Equal(t, "[]\n", m.ok("-json", "list"))
	m = withGuest(t)
	all := fromJSON[[]map[string]any](t, m.ok("-json", "list"))
	require.Len(t, all, 1)
	require.Equal(t, "web1", all[0]["name"])
	require.Equal(t, "stopped", all[0]["state"])
	require.Equal(t, true, all[0]["managed"])
	require.EqualValues(t, 512<<20, all[0]["memory"])
	require.Equal(t, map[string]any{"customer": "77"}, all[0]["labels"])
	require.Equal(t, m.status("web1"), fromJSON[[]provision.Status](t, m.ok("list", "-json"))[0])
}

func TestOutcomeInJSON(t *testing.T) {
	m := withGuest(t)
	m.ok("start", "web1")
	got := fromJSON[outcome](t, m.ok("-json", "stop", "web1"))
	require.Equal(t, "web1", got.Name)
	require.Equal(t, provision.StopShut, got.Result)
	require.Equal(t, provision.StateStopped, got.Status.State)
	deleted := fromJSON[map[string]string](t, m.ok("-json", "delete", "web1"))
	require.Equal(t, map[string]string{"name": "web1", "result": "deleted"}, deleted)
}

const twoGuests = "name: web1\nimage: debian-12\nlabels: {customer: \"77\"}\n---\nname: web2\nimage: debian-12\nmemory: {size: 1GiB}\n"

func TestPlanAndCreate(t *testing.T) {
	m := withGuest(t)
	file := m.file("two.yaml", twoGuests)
	text := m.ok("plan", "-f", file, "-drift")
	require.Contains(t, text, `nothing to do for sim "web1"`)
	require.Contains(t, text, `create sim "web2"`)

	changed := m.file("more.yaml", strings.Replace(twoGuests, "77", "78", 1))
	require.Contains(t, m.ok("plan", "-f", changed), "labels.customer: 77 -> 78")
	drift := m.run("plan", "-drift", "-f", changed, "-json")
	require.Equal(t, exitFindings, drift.code)
	require.Empty(t, drift.stderr)
	require.Len(t, fromJSON[[]provision.Plan](t, drift.stdout), 2)

	r := m.runWith(t.Context(), "name: web3\nkey: k\nimage: debian-12\n", "-json", "create", "-start", "-f", "-")
	require.Zero(t, r.code, r.stderr)
	made := fromJSON[[]provision.Status](t, r.stdout)
	require.Len(t, made, 1)
	require.Equal(t, provision.StateRunning, made[0].State)
}

// A mistake in the last document keeps the first from being made; what only
// shows on the way leaves, and prints, what was made before.
func TestCreateSeveral(t *testing.T) {
	m := withGuest(t)
	bad := m.run("create", "-f", m.file("bad.yaml", "name: new1\nimage: debian-12\n---\nname: new2\nimage: other\n"))
	require.Equal(t, exitNotFound, bad.code)
	require.Contains(t, bad.stderr, "document 2")
	require.Equal(t, exitNotFound, m.run("status", "new1").code)

	late := m.run("-json", "create", "-f", m.file("late.yaml", "name: new1\nimage: debian-12\n---\nname: web1\nimage: debian-12\n"))
	require.Equal(t, exitTaken, late.code)
	require.Equal(t, "web1", fromJSON[errorDoc](t, late.stderr).Guest)
	require.Equal(t, "new1", fromJSON[[]provision.Status](t, late.stdout)[0].Name)
}

func TestEvents(t *testing.T) {
	m := withGuest(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r := m.runWith(ctx, "", "-json", "events")
	require.Zero(t, r.code, r.stderr)
	first, _, _ := strings.Cut(r.stdout, "\n")
	require.Equal(t, provision.EventReady, fromJSON[provision.Event](t, first).Type)

	r = m.run("events", "-timeout", "100ms")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, " ready\n")
}

func TestDocumentsAreDistinct(t *testing.T) {
	m := withGuest(t)
	for field, text := range map[string]string{
		"name": "name: a\nimage: debian-12\n---\nname: a\nimage: debian-12\n",
		"key":  "name: a\nkey: k\nimage: debian-12\n---\nname: b\nkey: k\nimage: debian-12\n",
	} {
		for _, verb := range []string{"plan", "create"} {
			r := m.run(verb, "-f", m.file("twice.yaml", text))
			require.Equal(t, exitInvalid, r.code, "%s with one %s twice", verb, field)
			require.Contains(t, r.stderr, field+": ")
			require.NotContains(t, m.ok("list"), "\na ", "nothing was made")
		}
	}
}

func TestRender(t *testing.T) {
	m := withGuest(t)
	file := m.file("two.yaml", twoGuests+"access: {passwordHash: \"$6$saltsalt$SECRETSECRET\"}\n")
	text := m.ok("render", "-f", file)
	golden.Check(t, "render.txt", text)
	require.NotContains(t, text, "SECRET")
	require.Equal(t, text, m.ok("render", "-f", file))
	require.NotContains(t, m.ok("list"), "web2", "nothing was made")
	list := fromJSON[[]rendered](t, m.ok("render", "-f", file, "-json"))
	require.Len(t, list, 2)
	require.Equal(t, "web2", list[1].Name)
	require.Equal(t, text, list[0].Text+list[1].Text)

	bad := m.run("render", "-f", m.file("bad.yaml", "name: a\nimage: debian-12\n---\nname: b\nimage: other\n"))
	require.Equal(t, exitNotFound, bad.code)
	require.Empty(t, bad.stdout)
	require.Contains(t, bad.stderr, "document 2")
}
