package kvm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// Backend manages the guests of one libvirtd. Make it with [New].
type Backend struct {
	opts  Options
	conns conns

	cache     cache
	lists     atomic.Int64 // how many there were
	following sync.WaitGroup

	// The trial of KVM, see accel.go. The channel is its lock.
	trial chan struct{}
	works bool
}

// Options of a [Backend]. The zero value is the system's libvirtd.
type Options struct {
	// URI of the connection: "qemu:///system", "qemu:///session" with a socket,
	// "test:///default", or with "+unix" and a "socket" parameter for a socket
	// elsewhere: "qemu+unix:///system?socket=/path". Default: qemu:///system.
	// Connections to other machines are not supported yet.
	URI string
	// Pool for images and disks: the name of a libvirt storage pool of type
	// dir that is active. Default: "default".
	Pool string
	// Emulation says when guests may run without KVM, ten times slower or more.
	Emulation Emulation
	// Timeout of each exchange with libvirtd, beside the context of the call.
	// Default: 30 seconds. Starting a guest is one exchange; of transfers it
	// bounds each part.
	Timeout time.Duration
	// Logger for what is unusual. Default: none.
	Logger *slog.Logger
}

// Emulation says when a guest may be emulated in software (TCG).
type Emulation int

// Values of [Emulation].
const (
	EmulateNever  Emulation = iota // KVM must work
	EmulateIfMust                  // KVM where it works
	EmulateAlways                  // for tests on machines without KVM
)

var emulations = []string{"never", "ifMust", "always"}

// String returns "never", "ifMust" or "always".
func (e Emulation) String() string {
	if e < 0 || int(e) >= len(emulations) {
		return fmt.Sprintf("Emulation(%d)", int(e))
	}
	return emulations[e]
}

// MarshalText implements [encoding.TextMarshaler].
func (e Emulation) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *Emulation) UnmarshalText(text []byte) error {
	i := slices.Index(emulations, string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of never, ifMust and always", text)
	}
	*e = Emulation(i)
	return nil
}

// New returns a backend for a libvirtd. It does not connect yet; opts may be
// nil. A mistake in the options is reported by [provision.Open]; a pool that is
// not there by what needs it, and by [provision.Host.Check].
func New(opts *Options) *Backend {
	b := &Backend{trial: make(chan struct{}, 1)}
	if opts != nil {
		b.opts = *opts
	}
	if b.opts.URI == "" {
		b.opts.URI = "qemu:///system"
	}
	if b.opts.Pool == "" {
		b.opts.Pool = "default"
	}
	if b.opts.Timeout == 0 {
		b.opts.Timeout = 30 * time.Second
	}
	if b.opts.Logger == nil {
		b.opts.Logger = slog.New(slog.DiscardHandler)
	}
	return b
}

// honours are the fields of Spec that this backend puts into effect.
var honours = []provision.Feature{
	provision.FeatureImage, provision.FeatureHostname, provision.FeatureCPUCount, provision.FeatureMemorySize,
	provision.FeatureDiskSize, provision.FeatureNICs, provision.FeatureNICAddresses, provision.FeatureDNS,
	provision.FeatureAccess, provision.FeatureUserData, provision.FeatureNative,
}

// missing explains what is not honoured.
var missing = map[provision.Feature]string{
	provision.FeatureProcesses:        "a KVM guest has its own kernel; set the limit inside it",
	provision.FeatureOpenFiles:        "a KVM guest has its own kernel; set the limit inside it",
	provision.FeatureDiskInodes:       "a KVM guest has its own file system, whose inodes are limited when it is made",
	provision.FeatureMemorySwap:       "a KVM guest has its own kernel; give it a swap disk or file inside",
	provision.FeatureCPULimit:         notYet,
	provision.FeatureCPUWeight:        notYet,
	provision.FeatureMemoryGuaranteed: notYet,
	provision.FeatureMemoryHugePages:  notYet,
	provision.FeatureDataDisks:        notYet,
	provision.FeatureDiskIOPS:         notYet,
	provision.FeatureDiskBPS:          notYet,
	provision.FeatureNICVLAN:          notYet,
	provision.FeatureNICRate:          notYet,
	provision.FeatureNICAntiSpoof:     notYet,
}

const notYet = "this version of the kvm backend does not have it yet"

// Probe implements [provision.Backend].
func (b *Backend) Probe(ctx context.Context) (provision.Info, error) {
	if err := b.conns.setTarget(b.opts); err != nil {
		return provision.Info{}, err
	}
	info := provision.Info{Kind: "kvm", OwnKernel: true, Honours: honours, Missing: map[provision.Feature]string{}}
	for f, why := range missing {
		info.Missing[f] = why
	}
	err := b.read(ctx, func(l *libvirt.Libvirt) error {
		lib, err := l.ConnectGetLibVersion()
		if err != nil {
			return err
		}
		hv, err := l.ConnectGetVersion()
		if err != nil {
			return err
		}
		info.Version = fmt.Sprintf("libvirt %s, hypervisor %s", version(lib), version(hv))
		_, mem, cpus, _, _, _, _, _, err := l.NodeGetInfo()
		if err != nil {
			return err
		}
		info.CPUs, info.Memory = int(cpus), provision.Bytes(mem)*provision.KiB
		caps, err := l.ConnectGetCapabilities()
		if err != nil {
			return err
		}
		var c libvirtxml.Caps
		if err := c.Unmarshal(caps); err != nil {
			return fmt.Errorf("capabilities of the host: %w", err)
		}
		info.Machine = c.Host.UUID + b.conns.path
		return nil
	})
	if err != nil {
		return provision.Info{}, err
	}
	var wrong *provision.FieldError
	if _, err := b.pool(ctx); err != nil && !errors.As(err, &wrong) && !errors.Is(err, errors.ErrUnsupported) {
		return provision.Info{}, err
	} else if err != nil {
		for _, f := range []provision.Feature{provision.FeatureImage, provision.FeatureImages} {
			info.Missing[f] = err.Error()
		}
	}
	return info, nil
}

func version(v uint64) string { return fmt.Sprintf("%d.%d.%d", v/1e6, v/1e3%1e3, v%1e3) }

// Close implements [provision.Backend]: it ends all connections.
func (b *Backend) Close() error {
	b.conns.close()
	b.following.Wait()
	return nil
}

// What the backend can do.
var (
	_ provision.Backend       = (*Backend)(nil)
	_ provision.Autostarter   = (*Backend)(nil)
	_ provision.Checker       = (*Backend)(nil)
	_ provision.ConsoleLogger = (*Backend)(nil)
	_ provision.Imager        = (*Backend)(nil)
	_ provision.ImpactJudge   = (*Backend)(nil)
	_ provision.Drifter       = (*Backend)(nil)
	_ provision.Pauser        = (*Backend)(nil)
	_ provision.Preflighter   = (*Backend)(nil)
)
