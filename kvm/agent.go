package kvm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// What libvirt takes for a command to an agent: up to syncTime until the two have found
// each other, which nobody can change for one command, and then what the command says.
// All commands to the agent of one guest wait for one another.
const (
	syncTime = 5 * time.Second
	// agentSlack is what is left for libvirtd itself.
	agentSlack = 5 * time.Second
	minAnswer  = 3 * time.Second
)

// agentTime is how long libvirtd waits for an answer of the agent: no longer than we
// wait for libvirtd, whose worker would be held up for nobody.
func (b *Backend) agentTime() time.Duration {
	return max(b.opts.Timeout-syncTime-agentSlack, minAnswer)
}

// maxAnswer is more than libvirtd passes on: VIR_NET_MESSAGE_STRING_MAX is 4 MiB.
const maxAnswer = 4 << 20

// agentCall is a command to the guest agent, see
// https://www.qemu.org/docs/master/interop/qemu-ga-ref.html.
type agentCall struct {
	command string
	args    any
	most    time.Duration // that its answer may take, in whole seconds; 0: agentTime
	// changes: it is no question. When the connection is lost before the answer came,
	// nobody knows whether it happened.
	changes bool
}

// agent sends a command to the guest agent and reads its answer, which is the tenant's:
// who may be anybody. It is a job of this guest, so that an agent that hangs keeps
// nobody else waiting, and is never repeated once something was sent.
func (b *Backend) agent(ctx context.Context, id provision.ID, call agentCall, answer any) error {
	d, err := domainOf(id)
	if err != nil {
		return err
	}
	text, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{call.command, call.args})
	if err != nil {
		return err
	}
	most := cmp.Or(call.most, b.agentTime())
	var reply libvirt.OptString
	err = b.job(ctx, id, func(l *libvirt.Libvirt) (err error) {
		reply, err = l.QEMUDomainAgentCommand(d, string(text), int32(most/time.Second), 0)
		return err
	})
	var lost inDoubt
	if !call.changes && errors.As(err, &lost) {
		err = lost.error
	}
	if err != nil {
		return b.agentFailed(ctx, id, err)
	}
	if len(reply) != 1 || len(reply[0]) > maxAnswer {
		return &agentError{errNonsense, fmt.Errorf("to %s it is too long or none", call.command)}
	}
	if err := decodeAnswer([]byte(reply[0]), answer); err != nil {
		return &agentError{errNonsense, fmt.Errorf("to %s: %w", call.command, err)}
	}
	return nil
}

// decodeAnswer reads {"return": …}: one document of the expected types. A newer agent
// may have more fields.
func decodeAnswer(text []byte, answer any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	var doc struct {
		Return *json.RawMessage `json:"return"`
	}
	if err := dec.Decode(&doc); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind it")
	}
	if doc.Return == nil {
		return errors.New("there is no return in it")
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(*doc.Return, answer)
}

// agentError is an error with text of the tenant's in it, which may be anything.
type agentError struct {
	class  error
	native error
}

func (e *agentError) Error() string {
	return fmt.Sprintf("%v: the guest agent: %q", e.class, clip(e.native.Error()))
}

func (e *agentError) Unwrap() []error { return []error{e.class, e.native} }

// Classes of an agentError.
var (
	errNoAgent  = fmt.Errorf("%w: the guest agent does not answer (is qemu-guest-agent installed, and has the guest booted?)", provision.ErrNotReady)
	errNonsense = fmt.Errorf("%w: the guest agent's answer makes no sense", provision.ErrNotReady)
	errRefused  = errors.New("it was refused")
)

// agentFailed classifies what libvirt says of a command to the agent. It has one code
// for all that the agent itself answers with an error.
func (b *Backend) agentFailed(ctx context.Context, id provision.ID, err error) error {
	var answer libvirt.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch libvirt.ErrorNumber(answer.Code) {
	case libvirt.ErrAgentUnresponsive, libvirt.ErrAgentUnsynced, libvirt.ErrAgentCommandTimeout:
		return &agentError{errNoAgent, answer}
	case libvirt.ErrArgumentUnsupported:
		return fmt.Errorf("%w: %w", noChannel(), answer)
	case libvirt.ErrInternalError, libvirt.ErrAgentCommandFailed:
		return &agentError{errRefused, answer}
	case libvirt.ErrRPC:
		return &agentError{errTooLong, answer}
	case libvirt.ErrOperationInvalid:
		st, _, serr := b.state(ctx, id)
		if serr == nil && st == provision.StateRunning {
			return &agentError{errNoAgent, answer}
		}
	}
	return err
}

func noChannel() error {
	return &provision.UnsupportedError{Feature: provision.FeatureExec, Kind: "kvm",
		Reason: "this guest has no channel for the guest agent; add one to its domain (virsh edit: <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>), then stop and start it"}
}

// ExecReady implements [provision.Execer].
func (b *Backend) ExecReady(ctx context.Context, id provision.ID) error {
	return b.agent(ctx, id, agentCall{command: "guest-ping"}, nil)
}

// FreezeFilesystems makes all file systems of a running guest consistent on disk, and
// holds back what programs write to them until [Backend.ThawFilesystems], for which see
// to it in a defer, under a context that does not end, also when it fails: the guest may
// have frozen them after its time was up. Meanwhile the guest's programs hang, and the
// agent does nothing else, Exec included. It returns how many file systems it were.
// Without the guest agent, or when that takes longer than [Options].Timeout less ten
// seconds, it is [provision.ErrNotReady].
func (b *Backend) FreezeFilesystems(ctx context.Context, id provision.ID) (int, error) {
	return b.filesystems(ctx, id, "guest-fsfreeze-freeze")
}

// ThawFilesystems ends what [Backend.FreezeFilesystems] began, or somebody else. It is
// success where nothing is frozen, and returns how many file systems were thawed.
func (b *Backend) ThawFilesystems(ctx context.Context, id provision.ID) (int, error) {
	return b.filesystems(ctx, id, "guest-fsfreeze-thaw")
}

// filesystems does not use libvirt's own call, which waits for the agent for ever.
func (b *Backend) filesystems(ctx context.Context, id provision.ID, command string) (int, error) {
	var n int32
	if err := b.agent(ctx, id, agentCall{command: command, changes: true}, &n); err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, &agentError{errNonsense, fmt.Errorf("%d file systems", n)}
	}
	return int(n), nil
}

// clip shortens what a tenant may have made long.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
