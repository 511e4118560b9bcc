package cgroup

import (
	"context"
	"time"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Bounds of the time between two looks at what the kernel does by itself.
const (
	firstPause = 200 * time.Microsecond
	lastPause  = 20 * time.Millisecond
)

// poll calls look until it says that it is done, or fails, or the context ends,
// whose error it then returns. The pauses between grow.
func poll(ctx context.Context, look func() (done bool, err error)) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if done, err := look(); done || err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctxerr.Of(ctx)
		case <-timer.C:
		}
	}
}
