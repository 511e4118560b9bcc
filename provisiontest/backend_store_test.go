package provisiontest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// TestStateFile: only a file that never was is an empty machine.
func TestStateFile(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(t *testing.T, file string)
	}{
		{"vanished", func(t *testing.T, file string) { require.NoError(t, os.Remove(file)) }},
		{"empty", func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file, nil, 0o600)) }},
		{"cut", func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 20)) }},
		{"other JSON", func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600)) }},
		{"directory", func(t *testing.T, file string) {
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.Mkdir(file, 0o700))
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "machine.json")
			b := NewBackend(&BackendOptions{File: file})
			h := openHost(t, b, nil)
			g := newGuest(t, b, h, "web1")
			c.spoil(t, file)
			for _, err := range h.Guests(t.Context(), nil) {
				require.ErrorIs(t, err, provision.ErrUnavailable)
			}
			_, err := g.Status(t.Context())
			require.ErrorIs(t, err, provision.ErrUnavailable)
			require.NotErrorIs(t, err, provision.ErrNotFound)
			require.Contains(t, b.String(), "state file")
		})
	}
}

func TestStateFileShared(t *testing.T) {
	file := filepath.Join(t.TempDir(), "machine.json")
	b := NewBackend(&BackendOptions{File: file})
	newGuest(t, b, openHost(t, b, nil), "web1")
	other := NewBackend(&BackendOptions{File: file})
	require.Equal(t, b.String(), other.String())
	require.NoError(t, other.StartOutside("web1"))
	require.Equal(t, "guest \"web1\" running\n  disk 0 1MiB\n  seed\nimage \"base\" raw, 1048576 bytes\n", b.String())
}
