package provision

import (
	"context"
	"time"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Clock is what a [Host] waits with. Tests that should not wait give it a
// virtual one, see [github.com/guestforge/provision/provisiontest.Clock].
type Clock interface {
	Now() time.Time
	// Sleep waits for d or until the context ends, and returns its error then.
	Sleep(ctx context.Context, d time.Duration) error
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	return ctxerr.Sleep(ctx, d)
}
