//go:build linux

package lxctest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

func TestLife(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	g, err := h.Create(t.Context(), lxcrig.Spec("life"), nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State)
	how, err := g.Stop(t.Context(), &provision.StopOptions{Grace: 10 * time.Second})
	require.NoError(t, err)
	require.Equal(t, provision.StopShut, how)
	require.NoError(t, g.Delete(t.Context(), nil))
}
