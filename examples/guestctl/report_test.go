package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestReported(t *testing.T) {
	wrong := []error{
		&provision.FieldError{Path: "cpu.count", Value: "-1", Problem: "is negative"},
		&provision.FieldError{Path: "nics[0].vlan", Value: "5000\x1b", Problem: "is not a VLAN"},
	}
	both := &provision.Error{Op: "plan", Kind: "sim", Guest: "web9", Err: errors.Join(wrong...)}
	one := &provision.Error{Op: "plan", Kind: "sim", Guest: "web1", Err: wrong[0]}
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"one", one, "provision: plan sim \"web1\": cpu.count: \"-1\" is negative\n"},
		{"two of one guest", both, "provision: plan sim \"web9\":\n  cpu.count: \"-1\" is negative\n  nics[0].vlan: \"5000\\x1b\" is not a VLAN\n"},
		{"two documents", errors.Join(fmt.Errorf("a.yaml: document 1: %w", one), fmt.Errorf("a.yaml: document 2: %w", both)),
			"a.yaml: document 1: provision: plan sim \"web1\": cpu.count: \"-1\" is negative\n" +
				"a.yaml: document 2: provision: plan sim \"web9\":\n  cpu.count: \"-1\" is negative\n  nics[0].vlan: \"5000\\x1b\" is not a VLAN\n"},
		{"a cause and what else", fmt.Errorf("%w: start: %w", provision.ErrBusy, errors.New("gone")), "busy: start: gone\n"},
		{"control characters", errors.New("a\x1b[2J"), "\"a\\x1b[2J\"\n"},
	} {
		require.Equal(t, tt.want, reported(tt.err), tt.name)
	}
}

// What is wrong with a manifest names the file, the document and the guest.
func TestMistakesOfAManifest(t *testing.T) {
	m := withGuest(t)
	file := m.file("two.yaml", "name: web8\nimage: debian-12\n---\nname: web9\nimage: debian-12\ncpu: {count: -1}\nnics: [{bridge: br0, vlan: 5000}]\n")
	r := m.run("plan", "-f", file)
	require.Equal(t, exitInvalid, r.code)
	require.Regexp(t, `^guestctl: .*two.yaml: document 2: provision: plan sim "web9":\n  cpu.count: .*\n  nics\[0\].vlan: .*\n$`, r.stderr)
	r = m.run("plan", "-f", m.file("torn.yaml", "nmae: x\nimge: y\n"))
	require.Regexp(t, `^guestctl: .*torn.yaml:\n  line 1, column 1: nmae: .*\n  line 2, column 1: imge: .*\n$`, r.stderr)
	r = m.runWith(t.Context(), "name: a\nimage: x\n---\nname: a\nimage: x\n", "plan", "-f", "-")
	require.Contains(t, r.stderr, "guestctl: standard input: document 2: name: ")
}
