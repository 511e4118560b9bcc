//go:build linux

package lxc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// clearTime bounds what is done after a start that failed.
const clearTime = 10 * time.Second

// Start implements [provision.Backend].
func (b *Backend) Start(ctx context.Context, id provision.ID) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	switch l, err := b.lifeOf(d); {
	case err != nil:
		return err
	case l.state == provision.StateRunning:
		return nil
	case l.state != provision.StateStopped:
		return fmt.Errorf("%w: it is %s", provision.ErrState, l.state)
	}
	if err := b.removeGroups(ctx, d); err != nil { // of a monitor that was killed: liblxc would go elsewhere
		return err
	}
	if err := b.keepBlock(d); err != nil {
		return err
	}
	if err := b.refresh(d); err != nil {
		return err
	}
	if err := b.mountRoot(ctx, d); err != nil {
		return err
	}
	if err := b.start(ctx, d); err != nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTime)
		defer cancel()
		return errors.Join(err, b.clear(after, d))
	}
	return b.announce(id)
}

func (b *Backend) start(ctx context.Context, d *definition) error {
	g, err := b.group(d, groupGuest)
	if err != nil {
		return err
	}
	if err := g.Enable(); err != nil {
		return err
	}
	log := b.at.file(d.Spec.Name, fileStartLog)
	if err := errors.Join(os.WriteFile(log, nil, 0o600), os.RemoveAll(b.at.file(d.Spec.Name, fileHookLog))); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.opts.StartTimeout, errSlowStart)
	defer cancel()
	err = runTool(ctx, "start", b.opts.Start, "-P", b.opts.LXCPath, "-n", d.Spec.Name, "-d", "-o", log, "-l", "ERROR")
	if err != nil {
		return b.explain(ctx, d, err)
	}
	return b.verify(d)
}

var errSlowStart = fmt.Errorf("%w: liblxc did not start it in Options.StartTimeout", provision.ErrUnavailable)

// explain finds the cause of a start that failed: what the hook said, or the first
// error in the log.
func (b *Backend) explain(ctx context.Context, d *definition, err error) error {
	var native *Error
	if !errors.As(err, &native) {
		if errors.Is(context.Cause(ctx), errSlowStart) {
			return errSlowStart
		}
		return err
	}
	if said, rerr := readFile(b.at.file(d.Spec.Name, fileHookLog), maxSaid); rerr == nil && len(bytes.TrimSpace(said)) > 0 {
		native.Cause = printable(string(bytes.TrimSpace(said)))
		return native
	}
	log, oerr := os.Open(b.at.file(d.Spec.Name, fileStartLog))
	if oerr != nil {
		return err
	}
	defer log.Close()
	if cause := causeIn(log); cause != "" {
		native.Cause = cause
	}
	return native
}

// Stop implements [provision.Backend].
func (b *Backend) Stop(ctx context.Context, id provision.ID, how provision.StopMode) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	l, err := b.lifeOf(d)
	if err != nil {
		return err
	}
	if how == provision.Shutdown {
		if l.init == 0 {
			return nil
		}
		return b.ask(ctx, d.Spec.Name, func(lib library, name, path string) error { return lib.halt(name, path) })
	}
	return errors.Join(b.kill(ctx, d, l), b.announce(id))
}

// kill ends a guest in liblxc's own way, so that its monitor takes down what belongs
// to a guest that runs. A monitor that hangs, or is gone, is dealt with by the
// kernel's means.
func (b *Backend) kill(ctx context.Context, d *definition, l life) error {
	if l.init == 0 || l.state == provision.StatePaused {
		return b.clear(ctx, d)
	}
	err := b.ask(ctx, d.Spec.Name, func(lib library, name, path string) error { return lib.kill(name, path) })
	if err := ctxerr.Of(ctx); err != nil {
		return err
	}
	if err != nil {
		b.opts.Logger.WarnContext(ctx, "liblxc could not stop the guest, which is killed", "guest", d.Spec.Name, "error", err)
		return b.clear(ctx, d)
	}
	if !b.awaitEnd(ctx, d) {
		return b.clear(ctx, d)
	}
	return b.removeGroups(ctx, d)
}

// How long a monitor is waited for that has told of the guest's end: it runs the hook
// after that.
const (
	endTime  = 5 * time.Second
	endEvery = 5 * time.Millisecond
)

// awaitEnd reports whether all processes of a guest and its monitor have ended.
func (b *Backend) awaitEnd(ctx context.Context, d *definition) bool {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	for {
		g, err := b.group(d)
		if err != nil {
			return false
		}
		left, err := g.Procs()
		if err == nil && len(left) == 0 {
			return true
		}
		if err != nil || ctxerr.Sleep(ctx, endEvery) != nil {
			return false
		}
	}
}

// killAgain is after how long it is looked for processes again: those of a start
// whose caller was killed come into the groups when the others are dead already.
const killAgain = 300 * time.Millisecond

// errNoEnd is why it is given up to clear a guest's groups.
var errNoEnd = fmt.Errorf("%w: processes of the guest do not end", provision.ErrBusy)

// clear kills what there is of a guest and its monitor, and takes away what belongs
// to one that runs.
func (b *Backend) clear(ctx context.Context, d *definition) error {
	if err := b.rootOf(d).Thaw(); err != nil { // else nothing ends that writes
		return err
	}
	bounded, cancel := context.WithTimeoutCause(ctx, clearTime, errNoEnd)
	defer cancel()
	if err := b.killGroups(bounded, d); err != nil {
		return err
	}
	return b.takeDown(ctx, d)
}

// killGroups kills what is in the guest's control groups, and removes them.
func (b *Backend) killGroups(ctx context.Context, d *definition) error {
	for {
		for _, part := range []string{groupGuest, groupMonitor, groupPivot} {
			g, err := b.group(d, part)
			if err != nil {
				return err
			}
			if err := g.Kill(ctx); err != nil {
				return err
			}
		}
		short, cancel := context.WithTimeout(ctx, killAgain)
		err := b.removeGroups(short, d)
		again := short.Err() != nil
		cancel()
		if err == nil || !again {
			return err
		}
		if err := ctxerr.Of(ctx); err != nil {
			return err
		}
	}
}

func (b *Backend) removeGroups(ctx context.Context, d *definition) error {
	g, err := b.group(d)
	if err != nil {
		return err
	}
	if err := g.Remove(ctx, GroupsOf(b.opts.LXCPath)); err != nil {
		return err
	}
	return g.Protect() // what was guaranteed to it is not any more
}

// Pause implements [provision.Pauser]. The group is frozen by its own file first:
// liblxc sleeps a second between two looks at one of version 1, and now finds it
// frozen.
func (b *Backend) Pause(ctx context.Context, id provision.ID) error {
	return b.freeze(ctx, id, func(ctx context.Context, d *definition) error {
		g, err := b.group(d, groupGuest)
		if err != nil {
			return err
		}
		if err := g.Freeze(ctx); err != nil {
			return err
		}
		err = b.ask(ctx, d.Spec.Name, func(lib library, name, path string) error { return lib.freeze(name, path) })
		if err != nil { // it is not to be paused after an error
			after, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTime)
			defer cancel()
			err = errors.Join(err, g.Thaw(after))
		}
		return err
	})
}

// Resume implements [provision.Pauser].
func (b *Backend) Resume(ctx context.Context, id provision.ID) error {
	return b.freeze(ctx, id, func(ctx context.Context, d *definition) error {
		g, err := b.group(d, groupGuest)
		if err != nil {
			return err
		}
		// A process that was killed while it took a snapshot has left it so.
		if err := errors.Join(b.rootOf(d).Thaw(), g.Thaw(ctx)); err != nil {
			return err
		}
		return b.ask(ctx, d.Spec.Name, func(lib library, name, path string) error { return lib.unfreeze(name, path) })
	})
}

func (b *Backend) freeze(ctx context.Context, id provision.ID, do func(context.Context, *definition) error) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	switch l, err := b.lifeOf(d); {
	case err != nil:
		return err
	case l.init == 0:
		return fmt.Errorf("%w: it is %s", provision.ErrState, l.state)
	}
	return errors.Join(do(ctx, d), b.announce(id))
}
