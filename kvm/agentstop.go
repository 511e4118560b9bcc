package kvm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// Bounds on the request to an agent to shut down. libvirt takes up to syncTime to
// find out that an agent hangs, and begins with that for each command.
const (
	askTime    = 8 * time.Second
	listenTime = 2 * time.Second // for it to say that it listens
	// takeTime is how long an answer to the request is waited for. An agent that does
	// it answers nothing, and one that will not does at once.
	takeTime = time.Second
)

var errDeaf = errors.New("the guest agent does not answer")

// StopByAgent implements [provision.AgentStopper], for guests that have a channel to
// the QEMU guest agent. libvirt's own call would wait for the guest to go, up to a
// minute, on one of libvirtd's workers. So the agent is asked whether it listens, and
// then told: whether it has heard that libvirt cannot say.
func (b *Backend) StopByAgent(ctx context.Context, id provision.ID) error {
	short, cancel := context.WithTimeout(ctx, min(askTime, b.opts.Timeout*3/4))
	defer cancel()
	ping := func() error { return b.agent(short, id, agentCall{command: "guest-ping", most: listenTime}, nil) }
	err := ping()
	if err == nil {
		err = b.agent(short, id, agentCall{command: "guest-shutdown", args: map[string]string{"mode": "powerdown"}, most: takeTime, changes: true}, nil)
		// libvirt has one code for a refusal and for a channel that was closed, as when
		// the guest goes at once: who refuses is still there.
		gone := errors.Is(err, errRefused) && ping() != nil
		if (gone || taken(err)) && ctx.Err() == nil {
			return nil
		}
	}
	err = b.reached(ctx, id, err, func(s provision.State) bool { return !s.Live() })
	var said *agentError
	switch {
	case errors.As(err, &said) && errors.Is(said.class, provision.ErrNotReady):
		return &agentError{errDeaf, said.native} // which is no news of the hypervisor
	case err != nil && short.Err() != nil && ctx.Err() == nil && !errors.Is(err, provision.ErrUnavailable):
		return fmt.Errorf("the guest agent did not take the request in time: %v", err) // a deadline of ours is not the caller's
	}
	return err
}

// taken says whether an agent that listened a moment ago has the request, or may have
// it. An agent that goes down with its guest does not answer.
func taken(err error) bool {
	return err == nil || errors.Is(err, provision.ErrOutcomeUnknown) ||
		errors.Is(err, errNoAgent) && !hasCode(err, libvirt.ErrAgentUnsynced) && !hasCode(err, libvirt.ErrOperationInvalid)
}

var _ provision.AgentStopper = (*Backend)(nil)
