package provisiontest

import (
	"context"
	"maps"
	"path/filepath"
	"time"

	"github.com/guestforge/provision"
)

// BackendOptions of [NewBackend]. The zero value is a machine that can do
// everything, at once.
type BackendOptions struct {
	// Kind that the backend says it is. Default: "sim".
	Kind string
	// File keeps the machine, for all processes that name the same one (on
	// Linux). It is made if it does not exist; one that cannot be read, or has
	// vanished, is ErrUnavailable and never an empty machine. Beside it is a
	// file that ends in ".lock". Default: the machine lives in memory, for this
	// Backend alone.
	File string
	// Clock that guests live by. Default: real time.
	Clock provision.Clock
	// Missing takes features away, each with the reason. Verbs and fields of
	// Spec that need them are refused.
	Missing map[provision.Feature]string
	// Untried lists features of which only a trial tells whether they can be
	// had: the reason why not, or empty where they can.
	Untried map[provision.Feature]string
	// Weak lists limits that are accepted but not enforced, with the reason.
	Weak map[provision.Feature]string
	// BootTime is how long a guest is starting after Start. Default: 0.
	BootTime time.Duration
	// ShutdownTime is how long a guest is stopping after a shutdown request.
	// Default: 0.
	ShutdownTime time.Duration
	// Deaf names the guests that ignore a shutdown request. Default: none.
	Deaf func(name string) bool
	// Agent names the guests in which an agent listens, which hears a shutdown
	// request that Deaf ones ignore. Default: none.
	Agent func(name string) bool
	// CPUs of the machine. Default: 8.
	CPUs int
	// Memory of the machine. Default: 64 GiB. It bounds each guest, and the sum
	// of those whose memory is guaranteed.
	Memory provision.Bytes
	// Console returns what a guest writes to its console when it has booted.
	// Default: "BOOTED-OK " and its host name, in one line.
	Console func(name string) string
	// EventBuffer is how many events are kept for watchers that are slow; then
	// EventLost takes their place. Default: 64.
	EventBuffer int
}

func (o *BackendOptions) setDefaults() {
	if o.Kind == "" {
		o.Kind = "sim"
	}
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	if o.File != "" {
		// Fails only when the working directory is gone; the path as given is
		// then as good as any.
		if abs, err := filepath.Abs(o.File); err == nil {
			o.File = abs
		}
	}
	if o.CPUs <= 0 {
		o.CPUs = 8
	}
	if o.Memory == 0 {
		o.Memory = 64 * provision.GiB
	}
	if o.EventBuffer <= 0 {
		o.EventBuffer = 64
	}
	o.Missing = maps.Clone(o.Missing)
	o.Untried = maps.Clone(o.Untried)
	o.Weak = maps.Clone(o.Weak)
}

// Try implements [provision.Trier]: it returns what BackendOptions.Untried says.
func (b *Backend) Try(ctx context.Context, f provision.Feature) error {
	if err := b.view(ctx, func(*machine) error { return nil }); err != nil {
		return err
	}
	if why := b.opts.Untried[f]; why != "" {
		return &provision.UnsupportedError{Feature: f, Kind: b.opts.Kind, Reason: why}
	}
	return nil
}

// refuse returns why a feature is not to be had, or nil.
func (b *Backend) refuse(f provision.Feature) error {
	why, missing := b.opts.Missing[f]
	if !missing {
		return nil
	}
	return &provision.UnsupportedError{Feature: f, Kind: b.opts.Kind, Reason: why}
}

// refuseSpec returns why a Spec cannot be honoured. Host has asked before; a
// real backend could not honour it either if Host had not.
func (b *Backend) refuseSpec(s *provision.Spec) error {
	asked := s.Copy()
	// Defaults are written out in the Spec, and were not asked for.
	if asked.Hostname == asked.Name {
		asked.Hostname = ""
	}
	if asked.CPU.Count == 1 {
		asked.CPU.Count = 0
	}
	if asked.Memory.Size == 512*provision.MiB {
		asked.Memory.Size = 0
	}
	for _, f := range asked.Features() {
		if err := b.refuse(f); err != nil && f != provision.FeatureResidency {
			return err
		}
	}
	return nil
}

// Native is the Native of the in-memory backend. With it a Spec needs no image. It
// has no effect, but for one of the Settings: with "rootDisk" as "copy", the guest
// does not need its image any more when it is made.
type Native struct {
	// Kind of the backend, if BackendOptions.Kind is not the default.
	Kind string `json:"kind,omitempty"`
	// Settings may be anything.
	Settings map[string]string `json:"settings,omitempty"`
}

var _ provision.Native = (*Native)(nil)

// NativeKind implements [provision.Native].
func (n *Native) NativeKind() string {
	if n.Kind == "" {
		return "sim"
	}
	return n.Kind
}

// Validate implements [provision.Native]: everything is accepted.
func (n *Native) Validate() []*provision.FieldError { return nil }
