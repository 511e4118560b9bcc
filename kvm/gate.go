package kvm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/guestforge/provision"
)

// Times of the gate.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	localPause = time.Second // the last pause where to knock costs nothing
	// restartTime is how long callers wait for a daemon that was there a moment
	// ago. One that is restarted answers again after some 0.4 s.
	restartTime = 2 * time.Second
)

// gate lets calls through to a libvirtd that answers, and spares one that does
// not: after a failure there is a pause, which grows from failure to failure,
// and then one attempt at a time. In the first moments after a loss callers wait
// for the next attempt, within their contexts, because a restart takes no
// longer; later they fail at once, with the last error.
type gate struct {
	most time.Duration // the longest pause

	mu      sync.Mutex
	up      bool // libvirtd has answered once
	fails   int  // since it answered
	since   time.Time
	next    time.Time // of the next attempt
	err     error     // the last
	trying  bool      // the one attempt is under way
	changed chan struct{}

	now    func() time.Time // for tests; time.Now
	jitter func() float64   // for tests; between 0 and 1
}

func newGate(most time.Duration) *gate {
	return &gate{most: most, changed: make(chan struct{}), now: time.Now, jitter: rand.Float64}
}

// enter waits for a turn to connect. What comes of it must be told by leave.
func (g *gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		if g.fails == 0 {
			g.mu.Unlock()
			return nil
		}
		now := g.now()
		wait := g.next.Sub(now)
		if wait <= 0 && !g.trying {
			g.trying = true
			g.mu.Unlock()
			return nil
		}
		if !g.patient(now) {
			err := g.err
			g.mu.Unlock()
			return fmt.Errorf("%w (it is tried again every %s at most)", err, g.most)
		}
		changed := g.changed
		g.mu.Unlock()
		if wait <= 0 {
			wait = restartTime // for the one attempt, whose end is told
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ended(ctx)
		}
	}
}

// patient says whether libvirtd may just be restarting. The lock is held.
func (g *gate) patient(now time.Time) bool {
	return g.up && now.Sub(g.since) < restartTime && errors.Is(g.err, provision.ErrUnavailable)
}

// leave tells what came of an attempt; again says whether to try once more.
// Where the caller gave up, nothing was learnt.
func (g *gate) leave(err error, gaveUp bool) (again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trying = false
	defer func() {
		close(g.changed)
		g.changed = make(chan struct{})
	}()
	if gaveUp {
		return false
	}
	if err == nil {
		g.up, g.fails, g.err = true, 0, nil
		return false
	}
	now := g.now()
	if g.fails == 0 {
		g.since = now
	}
	g.err = err
	if g.fails == 0 || !now.Before(g.next) { // those that failed together count once
		pause := min(firstPause<<min(g.fails, 10), g.most)
		g.fails++
		g.next = now.Add(time.Duration((0.5 + g.jitter()/2) * float64(pause)))
	}
	return g.patient(now)
}
