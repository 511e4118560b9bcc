package provision_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// Guests with guaranteed memory wait for one another until each counts, and no
// longer: not for its image to be copied, nor for what failed to be undone.
func TestMemoryLockIsShort(t *testing.T) {
	for step, fails := range map[string]bool{"disk 0": false, "undo": true} {
		var slow sync.Once
		reached, release := make(chan struct{}), make(chan struct{})
		around := func(ctx context.Context, c provision.Call, do func(context.Context) error) error {
			if c.Guest != "slow" {
				return do(ctx)
			}
			if c.Step == step && c.Op == "create" || c.Op == "undo" && step == "undo" {
				slow.Do(func() { close(reached); <-release })
			}
			if fails && c.Op == "create" && c.Step == "disk 0" {
				return context.Canceled
			}
			return do(ctx)
		}
		r := newRig(t, provisiontest.BackendOptions{}, provision.Options{Around: around, LockDir: t.TempDir()})
		spec := func(name string) provision.Spec {
			return provision.Spec{Name: name, Image: "debian-12", Memory: provision.Memory{Size: provision.GiB, Guaranteed: true}}
		}
		done := make(chan error, 1)
		go func() {
			_, err := r.Create(context.WithoutCancel(t.Context()), spec("slow"), nil)
			done <- err
		}()
		<-reached
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		g, err := r.Create(ctx, spec("quick"), nil)
		if err == nil {
			err = g.Start(ctx, nil)
		}
		cancel()
		close(release)
		created := <-done
		require.NoError(t, err, step)
		require.Equal(t, fails, created != nil, step)
	}
}
