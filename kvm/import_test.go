//go:build linux

package kvm_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// stalled yields a little and then nothing, until it is told to fail.
type stalled struct {
	begun, end chan struct{}
	reads      int
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.reads++; s.reads == 1 {
		close(s.begun)
		return copy(p, make([]byte, 4096)), nil
	}
	<-s.end
	return 0, errors.New("the source has gone")
}

// TestStalledImportsHoldUpNobody: imports take as long as their sources do, and
// other calls do not wait for them.
func TestStalledImportsHoldUpNobody(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	const imports = 20 // more than there are connections
	end := make(chan struct{})
	done := make(chan error, imports)
	for i := range imports {
		s := &stalled{begun: make(chan struct{}), end: end}
		go func() {
			_, err := h.ImportImage(t.Context(), fmt.Sprintf("slow%d", i), s, &provision.ImportOptions{Format: "raw", Size: 1 << 20})
			done <- err
		}()
		<-s.begun
	}
	g, err := h.Create(t.Context(), tinySpec("quick"), nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	remove(t, g)
	close(end)
	for range imports {
		require.ErrorContains(t, <-done, "the source has gone")
	}
	require.Equal(t, before, leftovers(t, rig))
}
