// Package ctxerr says why a context has ended, and waits for one that may.
package ctxerr

import (
	"context"
	"fmt"
	"time"
)

// Of returns nil while the context goes on, and then an error that matches both
// its Err, which programs branch on, and the cause that was given with it.
func Of(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// Sleep waits for d, or until the context ends and then returns why.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return Of(ctx)
	}
}
