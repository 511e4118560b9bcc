//go:build linux

package lxc

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func configOf(t *testing.T, b *Backend, name string) settings {
	t.Helper()
	text, err := os.ReadFile(b.at.file(name, fileConfig))
	require.NoError(t, err)
	conf, err := parseConfig(text)
	require.NoError(t, err)
	return conf
}

// A change that was killed after any of its files is finished by the next start, or by
// the same change.
func TestChangeInterrupted(t *testing.T) {
	b := directories(t, 1)
	d, err := b.load("g0")
	require.NoError(t, err)
	on := func(d *definition) error {
		d.Spec.Autostart, d.Spec.Limits.Processes = true, 77
		return nil
	}
	for _, hand := range []bool{false, true} {
		for done := range 3 {
			b := directories(t, 1)
			path := b.at.file("g0", fileConfig)
			if hand {
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, append(text, "lxc.start.delay = 5\n"...), 0o600))
			}
			have, err := os.ReadFile(path)
			require.NoError(t, err)
			was, err := b.load("g0")
			require.NoError(t, err)
			old, err := b.filesOf(was)
			require.NoError(t, err)
			require.NoError(t, on(was))
			now, err := b.filesOf(was)
			require.NoError(t, err)
			order := []string{fileDefinition, fileHook, fileConfig}
			if hand {
				now.config = merge(have, old.items, now.items)
				order = []string{fileConfig, fileHook, fileDefinition}
			}
			require.NoError(t, b.put("g0", now, order[:done]...)) // and killed

			if !hand && done > 0 {
				again, err := b.load("g0")
				require.NoError(t, err)
				require.NoError(t, b.refresh(again), "a start")
				require.Equal(t, "1", configOf(t, b, "g0").last(keyAutostart))
			}
			require.NoError(t, b.change(t.Context(), d.ID, on))
			conf := configOf(t, b, "g0")
			require.Equal(t, []string{"1"}, conf[keyAutostart])
			limits, err := limitsIn(b.groups, conf)
			require.NoError(t, err)
			require.Equal(t, uint64(77), limits.Processes)
			require.Equal(t, hand, len(conf["lxc.start.delay"]) == 1)
			hook, err := os.ReadFile(b.at.file("g0", fileHook))
			require.NoError(t, err)
			require.Equal(t, string(now.hook), string(hook))
		}
	}
}

// What cannot be changed is left as it was.
func TestChangeRefused(t *testing.T) {
	b := directories(t, 1)
	before := configOf(t, b, "g0")
	d, err := b.load("g0")
	require.NoError(t, err)
	why := errors.New("no")
	require.ErrorIs(t, b.change(t.Context(), d.ID, func(d *definition) error {
		d.Spec.Autostart = true
		return why
	}), why)
	require.Error(t, b.change(t.Context(), d.ID, func(d *definition) error {
		d.Spec.Hostname = "a\nlxc.hook.start-host = /bin/sh"
		return nil
	}))
	require.Equal(t, before, configOf(t, b, "g0"))
	require.ErrorIs(t, b.SetAutostart(t.Context(), "nobody", true), provision.ErrNotFound)
	require.ErrorIs(t, b.SetSuspended(t.Context(), "nobody", true), provision.ErrNotFound)
}
