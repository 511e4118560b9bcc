package provisiontest

import (
	"context"
	"sync"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

var _ provision.Clock = (*Clock)(nil)

// Clock is a virtual [provision.Clock]: sleeping advances it at once, so that
// grace periods and polling take no time. It is safe for concurrent use. Do not
// give it to a Host whose Events are polled without end: the loop would spin.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at start.
func NewClock(start time.Time) *Clock { return &Clock{now: start} }

// Now returns the virtual time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep advances the clock by d and returns, or returns the error of a context
// that has ended and leaves the clock alone.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctxerr.Of(ctx); err != nil {
		return err
	}
	c.Advance(d)
	return nil
}

// Advance moves the clock on by d. It never goes back: a negative d does nothing.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(max(d, 0))
}

// wallClock is real time.
type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	return ctxerr.Sleep(ctx, d)
}
