package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestExitCodes(t *testing.T) {
	m := withGuest(t)
	m.ok("create", "-f", m.file("keyed.yaml", "name: keyed\nkey: k\nimage: debian-12\n"))
	m.ok("create", "-start", "-f", m.file("on.yaml", "name: running\nimage: debian-12\n"))
	m.ok("suspend", "-reason", "payment", "keyed")
	for _, tt := range []struct {
		name string
		args []string
		code int
		kind string
	}{
		{"an absent guest", []string{"start", "nobody"}, exitNotFound, "notFound"},
		{"an absent image", []string{"create", "-f", m.file("a", "name: x1\nimage: none\n")}, exitNotFound, "notFound"},
		{"a name that is taken", []string{"create", "-f", filepath.Join(m.dir, "web1.yaml")}, exitTaken, "exists"},
		{"an image's name that is taken", []string{"image", "import", "debian-12", m.file("b.img", "x")}, exitTaken, "exists"},
		{"a key of another guest", []string{"create", "-f", m.file("c", "name: x1\nkey: k\nimage: debian-12\n")}, exitTaken, "conflict"},
		{"a verb in the wrong state", []string{"pause", "web1"}, exitState, "state"},
		{"delete of a running guest", []string{"delete", "running"}, exitState, "state"},
		{"start of a suspended guest", []string{"start", "keyed"}, exitState, "suspended"},
		{"residency elsewhere", []string{"-residency", "DE", "plan", "-f", m.file("d", "name: x1\nimage: debian-12\nneeds: {residency: NO}\n")}, exitUnsupported, "unsupported"},
		{"a wrong value", []string{"create", "-f", m.file("e", "name: X\nimage: debian-12\n")}, exitInvalid, "invalid"},
		{"a wrong manifest", []string{"plan", "-f", m.file("f", "nmae: x1\n")}, exitInvalid, "invalid"},
		{"a format nobody stated", []string{"image", "import", "new", m.file("g", "x")}, exitInvalid, "invalid"},
		{"a wrong checksum", []string{"image", "import", "new", m.file("h.raw", "x"), "-sha256", strings.Repeat("0", 64)}, exitInvalid, "invalid"},
		{"a wrong option", []string{"-residency", "no", "list"}, exitInvalid, "invalid"},
		{"a file that is not there", []string{"plan", "-f", filepath.Join(m.dir, "nofile")}, exitFailed, "failed"},
		{"a broken state file", []string{"-state", m.file("i", "{"), "list"}, exitUnavailable, "unavailable"},
		{"a deadline", []string{"-timeout", "1ns", "list"}, exitFailed, "canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := m.run(tt.args...)
			require.Equal(t, tt.code, r.code, r.stderr)
			require.True(t, strings.HasPrefix(r.stderr, "guestctl: "), r.stderr)
			require.Empty(t, r.stdout)

			r = m.run(append([]string{"-json"}, tt.args...)...)
			require.Equal(t, tt.code, r.code)
			require.Empty(t, r.stdout)
			doc := fromJSON[errorDoc](t, r.stderr)
			require.Equal(t, tt.kind, doc.Kind)
			require.NotContains(t, doc.Message, "\n")
		})
	}
}

func TestBackendThatIsNotBuilt(t *testing.T) {
	r := call(t.Context(), "", "-backend", "openvz", "list")
	require.Equal(t, exitUnsupported, r.code)
	require.Contains(t, r.stderr, "backend openvz is not built yet")
}

func TestDirectoryIsForContainers(t *testing.T) {
	r := newMachine(t).run("image", "import", "tree", t.TempDir())
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "only -backend lxc")
}

func TestErrorsInJSON(t *testing.T) {
	m := withGuest(t)
	r := m.run("create", "-json", "-f", m.file("bad.yaml", "name: web9\nimage: debian-12\ncpu: {count: -1}\nnics: [{bridge: br0, vlan: 5000}]\n"))
	require.Equal(t, exitInvalid, r.code)
	doc := fromJSON[errorDoc](t, r.stderr)
	require.Equal(t, "web9", doc.Guest)
	require.Equal(t, "cpu.count", doc.Field)
	require.Len(t, doc.Fields, 2)
	require.Equal(t, fieldDoc{Field: "nics[0].vlan", Message: `"5000" is not a VLAN from 1 to 4094`}, doc.Fields[1])

	r = m.run("plan", "-json", "-f", m.file("unknown.yaml", "name: web9\nimge: x\n"))
	doc = fromJSON[errorDoc](t, r.stderr)
	require.Equal(t, "imge", doc.Field)
	require.Equal(t, 2, doc.Fields[0].Line)
}

func TestClassify(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		err  error
		kind string
	}{
		{errors.New("anything"), "failed"},
		{&provision.Error{Op: "start", Err: fmt.Errorf("%w: of 1GiB none is free", provision.ErrCapacity)}, "capacity"},
		{fmt.Errorf("%w: another: %w", provision.ErrBusy, canceled.Err()), "busy"},
		{errors.Join(provision.ErrConflict, provision.ErrUnavailable), "conflict"},
		{errors.Join(errors.New("cause"), fmt.Errorf("undo: %w", provision.ErrUnavailable)), "unavailable"},
		{&provision.Error{Op: "start", Err: &provision.UnsupportedError{Feature: "x"}}, "unsupported"},
		{&fs.PathError{Op: "open", Err: fs.ErrPermission}, "permission"},
		{context.Cause(canceled), "canceled"},
	} {
		found, _ := classify(tt.err)
		require.Equal(t, tt.kind, found.kind, tt.err)
	}
	require.Equal(t, []int{10, 11}, []int{exitCapacity, exitUnavailable}, "scripts know the numbers")
}
