package provisiontest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/guestforge/provision"
)

// OpenConsole implements [provision.ConsoleOpener]. The guest answers each line with
// "ECHO " and the line. Who is connected is known to this Backend value alone.
func (b *Backend) OpenConsole(ctx context.Context, id provision.ID, opts provision.ConsoleOptions) (io.ReadWriteCloser, error) {
	if err := b.refuse(provision.FeatureConsole); err != nil {
		return nil, err
	}
	t := &terminal{backend: b, id: id, ended: make(chan struct{})}
	err := b.view(ctx, func(m *machine) error {
		g, err := m.byID(id)
		if err == nil && !g.State.Live() {
			err = stateError("open the console of", g)
		}
		if err == nil {
			t.at = len(g.Console)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	b.live.Lock()
	defer b.live.Unlock()
	if old := b.terminals[id]; old != nil && old.end(nil) == nil {
		if !opts.Force {
			return nil, fmt.Errorf("%w: somebody is connected to it", provision.ErrBusy)
		}
		_ = old.end(fmt.Errorf("%w: somebody else has taken the console over", provision.ErrBusy)) // that is what it returns
	}
	put(&b.terminals, id, t)
	return t, nil
}

// terminal is an open console.
type terminal struct {
	backend *Backend
	id      provision.ID

	mu    sync.Mutex
	at    int    // what was read of the log
	typed string // of a line that is not complete
	why   error  // why it has ended
	ended chan struct{}
}

// end ends the console, unless why is nil, and returns why it has ended.
func (t *terminal) end(why error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why == nil && why != nil {
		t.why = why
		close(t.ended)
	}
	return t.why
}

// Close ends the console.
func (t *terminal) Close() error {
	_ = t.end(fmt.Errorf("the console: %w", fs.ErrClosed)) // that is what it returns
	return nil
}

// Read waits for what the guest writes.
func (t *terminal) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if err := t.end(nil); err != nil {
			return 0, err
		}
		n, err := t.look(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, t.end(err)
		}
		select {
		case <-t.ended:
		case <-t.backend.closed:
		case <-time.After(watchInterval):
		}
	}
}

func (t *terminal) look(p []byte) (n int, err error) {
	err = t.backend.view(context.Background(), func(m *machine) error {
		g, err := m.byID(t.id)
		if errors.Is(err, provision.ErrNotFound) {
			return io.EOF
		}
		if err != nil {
			return err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		n = copy(p, g.Console[min(t.at, len(g.Console)):])
		t.at += n
		if n == 0 && !g.State.Live() {
			return io.EOF
		}
		return nil
	})
	return n, err
}

// Write types.
func (t *terminal) Write(p []byte) (int, error) {
	if err := t.end(nil); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	err := t.backend.update(context.Background(), func(m *machine) error {
		g, err := m.byID(t.id)
		if err != nil || !g.State.Live() {
			return fmt.Errorf("the guest is off: %w", io.ErrClosedPipe)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		lines := strings.SplitAfter(t.typed+string(p), "\n")
		t.typed = lines[len(lines)-1]
		for _, line := range lines[:len(lines)-1] {
			g.Console += "ECHO " + line
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}
