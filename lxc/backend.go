//go:build linux

package lxc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
)

// Backend manages the containers of one LXCPath. Make it with [New].
type Backend struct {
	opts     Options
	at       layout
	lib      library
	known    sync.Map       // provision.ID to the name of the guest
	calls    sync.WaitGroup // calls of liblxc that are under way
	consoles consoles

	ended context.Context // until Close
	end   context.CancelFunc
	// volumesOf finds the devices on which transfers are limited.
	volumesOf func(path string) ([]cgroup.Device, error)

	groups *cgroup.Layout // set by Probe
	host   facts
	trial  trial
}

// facts are what Probe has found out about the host.
type facts struct {
	seccomp  string
	appArmor bool
	cpus     []int // that guests can have
	memory   provision.Bytes
}

// New returns a backend for the containers of a directory. It does not look at the
// machine yet; opts may be nil. A mistake in the options is reported by
// [provision.Open].
func New(opts *Options) *Backend {
	b := &Backend{volumesOf: cgroup.Volumes}
	if opts != nil {
		b.opts = *opts
	}
	b.opts.complete()
	b.at = layout(b.opts.LXCPath)
	b.ended, b.end = context.WithCancel(context.Background())
	return b
}

// pathRE is what paths may be made of that stand in configurations and scripts.
var pathRE = regexp.MustCompile(`^(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$`)

// check reports what is wrong with the options.
func (o *Options) check() error {
	for _, f := range []struct{ path, value string }{{"lxcPath", o.LXCPath}, {"start", o.Start}, {"attach", o.Attach}} {
		if !pathRE.MatchString(f.value) {
			return &provision.FieldError{Path: "options." + f.path, Value: f.value, Problem: "is no absolute path of letters, digits, slash, dot, underscore and hyphen, no part of which begins with a dot or a hyphen"}
		}
	}
	if !filepath.IsAbs(o.IDDir) {
		return &provision.FieldError{Path: "options.idDir", Value: o.IDDir, Problem: "is no absolute path"}
	}
	if last := uint64(o.IDs.First) + uint64(max(o.IDs.Blocks, 0))*idBlock; o.IDs.First == 0 || o.IDs.First%idBlock != 0 || o.IDs.Blocks <= 0 || last > 1<<32-2 {
		return &provision.FieldError{Path: "options.ids", Value: fmt.Sprintf("%d, %d blocks", o.IDs.First, o.IDs.Blocks),
			Problem: "is no range of ids: it begins at a multiple of 65536, not at 0, and ends before 4294967294"}
	}
	return nil
}

// honours are the fields of Spec that this backend puts into effect.
var honours = []provision.Feature{
	provision.FeatureImage, provision.FeatureHostname, provision.FeatureCPUCount, provision.FeatureCPULimit, provision.FeatureCPUWeight,
	provision.FeatureCPUPin, provision.FeatureMemorySize, provision.FeatureMemorySwap, provision.FeatureMemoryGuaranteed,
	provision.FeatureDiskSize, provision.FeatureDiskInodes, provision.FeatureDiskIOPS, provision.FeatureDiskBPS,
	provision.FeatureNICs, provision.FeatureNICAddresses, provision.FeatureNICVLAN, provision.FeatureNICAntiSpoof, provision.FeatureNICMTU,
	provision.FeatureNICIsolated, provision.FeatureNICRate, provision.FeatureDNS,
	provision.FeatureProcesses, provision.FeatureOpenFiles, provision.FeatureAccess, provision.FeatureUserData, provision.FeatureNative,
}

// notHonoured are the others, and why.
var notHonoured = map[provision.Feature]string{
	provision.FeatureDataDisks:       "a container has one root file system; directories of the host are not handed in yet",
	provision.FeatureMemoryHugePages: "what runs in a container takes huge pages by itself; there is nothing to back as a whole",
}

// Probe implements [provision.Backend].
func (b *Backend) Probe(ctx context.Context) (provision.Info, error) {
	if err := b.opts.check(); err != nil {
		return provision.Info{}, err
	}
	lib, err := newLibrary()
	if err != nil {
		return provision.Info{}, err
	}
	b.lib = lib
	if os.Geteuid() != 0 {
		return provision.Info{}, fmt.Errorf("%w: guests of others need root", os.ErrPermission)
	}
	if err := b.prepare(ctx); err != nil {
		return provision.Info{}, err
	}
	b.groups, err = cgroup.Detect("/")
	if err != nil {
		return provision.Info{}, err
	}
	var mem unix.Sysinfo_t
	if err := unix.Sysinfo(&mem); err != nil {
		return provision.Info{}, os.NewSyscallError("sysinfo", err)
	}
	info := provision.Info{Kind: kind, Version: "liblxc " + lib.version(), Machine: b.opts.LXCPath,
		Memory: provision.Bytes(mem.Totalram) * provision.Bytes(mem.Unit), Honours: honours, Untried: untried, Missing: map[provision.Feature]string{}}
	for f, why := range notHonoured {
		info.Missing[f] = why
	}
	b.host = probeHost()
	if b.host.cpus, err = b.groups.Processors("/"); err != nil {
		return provision.Info{}, err
	}
	info.CPUs, b.host.memory = len(b.host.cpus), info.Memory
	b.missingGroups(info.Missing)
	if !hasProgram("nft") {
		info.Missing[provision.FeatureNICAntiSpoof] = "the command nft is not installed"
	}
	return info, nil
}

// missingGroups says what the host's control groups do not have at all.
func (b *Backend) missingGroups(missing map[provision.Feature]string) {
	all := &cgroup.Limits{CPU: 1, Weight: 1, CPUs: []int{0}, Memory: 1 << 30, Guaranteed: 1 << 30, Processes: 1}
	for _, v := range b.groups.Judge(all) {
		if v.Enforcement == cgroup.NotEnforced {
			for _, path := range paths[v.Limit] {
				missing[provision.Feature(path)] = v.Reason
			}
		}
	}
}

// prepare makes our own directories below LXCPath. They are made once and stay.
func (b *Backend) prepare(ctx context.Context) error {
	if info, err := os.Stat(b.opts.LXCPath); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: %s, where containers are, is no directory; install the package lxc or make it", provision.ErrUnavailable, b.opts.LXCPath)
	}
	for _, dir := range []string{b.at.own(), b.at.images(), b.at.making(), b.at.removing(), b.at.events(), b.at.spares()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return b.stock(ctx)
}

// hasProgram says whether the hook will find a program.
func hasProgram(name string) bool {
	return slices.ContainsFunc([]string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}, func(dir string) bool {
		info, err := os.Stat(dir + "/" + name)
		return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
	})
}

// Files that tell what confines guests on this host.
const (
	seccompProfile  = "/usr/share/lxc/config/common.seccomp" // LXC's own
	seccompActions  = "/proc/sys/kernel/seccomp/actions_avail"
	appArmorEnabled = "/sys/module/apparmor/parameters/enabled"
)

func probeHost() facts {
	var f facts
	if _, err := os.Stat(seccompActions); err == nil {
		if _, err := os.Stat(seccompProfile); err == nil {
			f.seccomp = seccompProfile
		}
	}
	on, err := os.ReadFile(appArmorEnabled)
	f.appArmor = err == nil && len(on) > 0 && on[0] == 'Y'
	return f
}

// Close implements [provision.Backend].
func (b *Backend) Close() error {
	b.consoles.close()
	b.end()
	b.calls.Wait()
	return nil
}
