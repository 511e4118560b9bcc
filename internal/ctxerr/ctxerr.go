// Package ctxerr says why a context has ended.
package ctxerr

import (
	"context"
	"fmt"
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
