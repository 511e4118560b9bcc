//go:build linux

package lxctest_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

// A program that is started while its guest is killed ends with it, whatever it is that
// fails then.
func TestExecWhileKilled(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	g, err := h.Create(t.Context(), lxcrig.Spec("dying"), nil)
	require.NoError(t, err)
	for range 5 {
		require.NoError(t, g.Start(t.Context(), nil))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					r, err := g.Exec(t.Context(), []string{"/bin/true"}, &provision.ExecOptions{})
					if err == nil && r == (provision.ExecResult{}) {
						continue
					}
					if err == nil {
						t.Errorf("the program ended by itself: %v", r)
					} else {
						assert.ErrorIs(t, err, provision.ErrState)
					}
					return
				}
			})
		}
		_, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
		require.NoError(t, err)
		all.Wait()
	}
	require.NoError(t, g.Delete(t.Context(), nil))
}
