//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// library is what is used of liblxc inside this process: nothing that forks. Calls
// that talk to a guest's monitor block for as long as that does not answer.
type library interface {
	// version of the library that is loaded.
	version() string
	// check has liblxc parse a configuration file.
	check(name, path, file string) error
	state(name, path string) (string, error)
	initPID(name, path string) (int, error)
	freeze(name, path string) error
	unfreeze(name, path string) error
	// halt sends the signal that asks the first program to shut down, and does not wait.
	halt(name, path string) error
	// kill returns when the guest is off.
	kill(name, path string) error
}

// States of liblxc, from lxc_state_t in lxc/state.h.
const (
	stateStopped  = "STOPPED"
	stateStarting = "STARTING"
	stateRunning  = "RUNNING"
	stateStopping = "STOPPING"
	stateAborting = "ABORTING"
	stateFreezing = "FREEZING"
	stateFrozen   = "FROZEN"
	stateThawed   = "THAWED"
)

// errHung is the cause of the end of a call that liblxc does not return from.
var errHung = fmt.Errorf("%w: the guest's monitor process does not answer", provision.ErrUnavailable)

// ask runs one call of liblxc about a guest, and returns when it does, the context
// ends or the time is over. What is then still waiting for the guest's monitor is
// broken off, by ending the connection that it waits on: liblxc 5.0 has no other way.
func (b *Backend) ask(ctx context.Context, name string, f func(lib library, name, path string) error) error {
	if err := ctxerr.Of(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.opts.Timeout, errHung)
	defer cancel()
	done := make(chan error, 1)
	b.calls.Add(1)
	go func() {
		defer b.calls.Done()
		done <- f(b.lib, name, b.opts.LXCPath)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if err := b.breakOff(name, done); err != nil {
		b.opts.Logger.Warn("a call of liblxc cannot be broken off", "guest", name, "error", err)
	}
	if cause := context.Cause(ctx); errors.Is(cause, errHung) {
		return cause
	}
	return fmt.Errorf("waiting for liblxc: %w", ctxerr.Of(ctx))
}
