package kvm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/digitalocean/go-libvirt"
	"golang.org/x/crypto/ssh"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// Backend manages the guests of one libvirtd. Make it with [New].
type Backend struct {
	opts  Options
	conns conns

	cache     cache
	consoles  consoles
	lists     atomic.Int64 // how many there were
	hub       hub
	following sync.WaitGroup
	reconcile time.Duration // between looks at what no event told of
	noFilters atomic.Bool   // libvirtd has no nwfilter driver; set by Probe

	// The trial of KVM, see accel.go. The channel is its lock.
	trial chan struct{}
	works bool

	trials trials // of limits, see trial.go
	silent silent // see limits_live.go
}

// Options of a [Backend]. The zero value is the system's libvirtd.
type Options struct {
	// URI of the connection, as in https://libvirt.org/uri.html:
	//
	//	qemu:///system                             the socket of this machine; the default
	//	qemu+unix:///system?socket=/path           a socket elsewhere
	//	qemu+tls://HOST[:16514]/system             libvirtd's TLS port
	//	qemu+ssh://USER@HOST[:22]/system?keyfile=/path
	//
	// TLS takes the parameter pkipath, a directory with cacert.pem,
	// clientcert.pem and clientkey.pem; without it, the files in /etc/pki that
	// libvirt has. SSH takes keyfile, known_hosts (default:
	// /etc/ssh/ssh_known_hosts) and socket, libvirtd's over there. Neither the
	// environment nor files of a user are read: no agent, no ~/.ssh. Passwords,
	// parameters that switch verification off, and TCP without TLS are refused.
	URI string
	// TLS is the configuration for qemu+tls, instead of the files. Its ServerName
	// defaults to the host of the URI.
	TLS *tls.Config
	// SSH is the configuration for qemu+ssh. A keyfile of the URI is added to its
	// Auth. Without a HostKeyCallback, known_hosts is used. The User of the URI
	// has precedence.
	SSH *ssh.ClientConfig
	// Dial makes the connections, if not nil, for tunnels of other kinds: it
	// returns one that libvirtd's socket is behind, each time a new one. The URI
	// then says only what to open there: qemu:///system. The context bounds the
	// call, not the connection.
	Dial func(ctx context.Context) (net.Conn, error)
	// Pool for disks: the name of a libvirt storage pool that is active. In one
	// of type dir, fs or netfs they are files. In one of type logical they are
	// LVM's volumes: the root disk is always a full copy of its image, all space
	// is taken at once (libvirt makes no thin ones), sizes are rounded up to
	// extents, and a disk is overwritten with zeroes before it is deleted. LVM
	// does not clear new ones, so the volume group has to be empty at first. A
	// create that fails while its disk is being copied may stay incomplete until
	// libvirtd has finished the copy, which nothing can stop: the undo waits for
	// it, within its bounds, and a later Delete ends it.
	// Other types are unsupported. Default: "default".
	Pool string
	// FilePool for images, seeds and console logs: the name of a pool of type
	// dir, fs or netfs. Default: Pool, where that is one of these; otherwise it
	// is required.
	FilePool string
	// Emulation says when guests may run without KVM, ten times slower or more.
	Emulation Emulation
	// Timeout of each exchange with libvirtd, beside the context of the call.
	// Default: 30 seconds. Starting a guest is one exchange; of transfers it
	// bounds each part. A change may wait ten times as long for its turn.
	Timeout time.Duration
	// MemoryReserve is what is left for the host itself when guests with
	// guaranteed memory are admitted. Default: 5 % of its memory, 512 MiB at
	// least.
	MemoryReserve provision.Bytes
	// OpenVSwitch names the bridges that are of Open vSwitch: libvirt has to be
	// told, and cannot say. There VLANs work with every libvirt; filters against
	// foreign addresses and port isolation do not. Default: none.
	OpenVSwitch []string
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
	b := &Backend{trial: make(chan struct{}, 1), hub: newHub(), reconcile: reconcileEvery}
	if opts != nil {
		b.opts = *opts
		b.opts.OpenVSwitch = slices.Clone(opts.OpenVSwitch)
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
	provision.FeatureDiskSize, provision.FeatureDataDisks, provision.FeatureNICs, provision.FeatureNICAddresses, provision.FeatureDNS,
	provision.FeatureNICVLAN, provision.FeatureNICAntiSpoof, provision.FeatureNICMTU, provision.FeatureNICIsolated,
	provision.FeatureAccess, provision.FeatureUserData, provision.FeatureNative,
	provision.FeatureCPULimit, provision.FeatureCPUWeight, provision.FeatureCPUPin, provision.FeatureMemoryGuaranteed,
	provision.FeatureMemoryHugePages, provision.FeatureDiskIOPS, provision.FeatureDiskBPS, provision.FeatureNICRate,
}

// missing explains what is not honoured.
var missing = map[provision.Feature]string{
	provision.FeatureProcesses:  "a KVM guest has its own kernel; set the limit inside it",
	provision.FeatureOpenFiles:  "a KVM guest has its own kernel; set the limit inside it",
	provision.FeatureDiskInodes: "a KVM guest has its own file system, whose inodes are limited when it is made",
	provision.FeatureMemorySwap: "a KVM guest has its own kernel; give it a swap disk or file inside",
	provision.FeatureExecUser:   "the guest agent runs programs as root; use runuser or su in the guest",
	provision.FeatureExecDir:    "the guest agent runs programs in /; use env -C or a shell in the guest",
	provision.FeatureExecTTY:    "the guest agent gives programs no terminal; log in on the console",
	provision.FeatureResize:     "this version does not change the definition of a guest that is there",
	provision.FeatureSnapshots:  "this version takes none; snapshots made by other means go with their guest",
}

// Probe implements [provision.Backend].
func (b *Backend) Probe(ctx context.Context) (provision.Info, error) {
	if err := b.conns.setTarget(b.opts); err != nil {
		return provision.Info{}, err
	}
	info := provision.Info{Kind: "kvm", OwnKernel: true, Honours: honours, Untried: untried, Missing: map[provision.Feature]string{}}
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
		// The same, however the daemon is reached.
		info.Machine = c.Host.UUID + b.conns.target.path
		b.probeHugePages(&c, &info)
		if why := vlanAdvice(lib); why != "" && len(b.opts.OpenVSwitch) == 0 {
			info.Missing[provision.FeatureNICVLAN] = why
		}
		why, err := b.lacksFilters(ctx, l)
		if b.noFilters.Store(why != ""); why != "" {
			info.Missing[provision.FeatureNICAntiSpoof] = why
		}
		return err
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
	_ provision.Addresser     = (*Backend)(nil)
	_ provision.Backend       = (*Backend)(nil)
	_ provision.Autostarter   = (*Backend)(nil)
	_ provision.Checker       = (*Backend)(nil)
	_ provision.ConsoleLogger = (*Backend)(nil)
	_ provision.ConsoleOpener = (*Backend)(nil)
	_ provision.Execer        = (*Backend)(nil)
	_ provision.Imager        = (*Backend)(nil)
	_ provision.ImageReleaser = (*Backend)(nil)
	_ provision.ImpactJudge   = (*Backend)(nil)
	_ provision.Drifter       = (*Backend)(nil)
	_ provision.Pauser        = (*Backend)(nil)
	_ provision.Preflighter   = (*Backend)(nil)
	_ provision.Watcher       = (*Backend)(nil)
	_ provision.StatsReader   = (*Backend)(nil)
	_ provision.Renderer      = (*Backend)(nil)
	_ provision.Trier         = (*Backend)(nil)
)
