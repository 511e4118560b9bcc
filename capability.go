package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Feature is something that a backend may or may not be able to do: a verb, or
// to honour a field of [Spec], named by its path without indices.
type Feature string

// Features that are verbs.
const (
	FeaturePause      Feature = "pause"      // Guest.Pause, Guest.Resume
	FeatureConsoleLog Feature = "consoleLog" // Guest.ConsoleLog, UntilConsole
	FeatureConsole    Feature = "console"    // Guest.Console
	FeatureExec       Feature = "exec"       // Guest.Exec, UntilExec
	FeatureExecUser   Feature = "exec.user"  // ExecOptions.User
	FeatureExecDir    Feature = "exec.dir"   // ExecOptions.Dir
	FeatureExecTTY    Feature = "exec.tty"   // ExecOptions.TTY
	FeatureResize     Feature = "resize"     // Guest.Resize
	FeatureSnapshots  Feature = "snapshots"  // Guest.Snapshot, Snapshots, RestoreSnapshot, DeleteSnapshot
	FeatureImages     Feature = "images"     // Host.Images, ImportImage, RemoveImage
	FeatureWatch      Feature = "watch"      // Host.Events without polling
	FeatureCheck      Feature = "check"      // Host.Check
	FeatureUsage      Feature = "usage"      // Guest.Usage, ListOptions.Usage
	FeatureAddresses  Feature = "addresses"  // Guest.Addresses, UntilAddress
	FeatureOrphans    Feature = "orphans"    // Host.Orphans, RemoveOrphan
	FeatureRender     Feature = "render"     // Host.Render
)

// Features that are fields of Spec. FeatureAutostart is Guest.SetAutostart too.
const (
	FeatureImage            Feature = "image"
	FeatureHostname         Feature = "hostname"
	FeatureCPUCount         Feature = "cpu.count"
	FeatureCPULimit         Feature = "cpu.limit"
	FeatureCPUWeight        Feature = "cpu.weight"
	FeatureCPUPin           Feature = "cpu.pin"
	FeatureMemorySize       Feature = "memory.size"
	FeatureMemorySwap       Feature = "memory.swap"
	FeatureMemoryGuaranteed Feature = "memory.guaranteed"
	FeatureMemoryHugePages  Feature = "memory.hugePages"
	FeatureDiskSize         Feature = "disks.size"
	FeatureDataDisks        Feature = "disks" // more than the root disk
	FeatureDiskInodes       Feature = "disks.inodes"
	FeatureDiskIOPS         Feature = "disks.iops"
	FeatureDiskBPS          Feature = "disks.bps"
	FeatureNICs             Feature = "nics"
	FeatureNICVLAN          Feature = "nics.vlan"
	FeatureNICAddresses     Feature = "nics.addresses"
	FeatureNICRate          Feature = "nics.rate"
	FeatureNICAntiSpoof     Feature = "nics.antiSpoof"
	FeatureNICMTU           Feature = "nics.mtu"
	FeatureNICIsolated      Feature = "nics.isolated"
	FeatureDNS              Feature = "dns"
	FeatureProcesses        Feature = "limits.processes"
	FeatureOpenFiles        Feature = "limits.openFiles"
	FeatureAccess           Feature = "access"
	FeatureUserData         Feature = "userData"
	FeatureAutostart        Feature = "autostart"
	FeatureOwnKernel        Feature = "needs.ownKernel"
	FeatureResidency        Feature = "needs.residency"
	FeatureNative           Feature = "native"
)

// verbs tells from the type of a backend what it has code for.
var verbs = map[Feature]func(Backend) bool{
	FeaturePause:      has[Pauser],
	FeatureConsoleLog: has[ConsoleLogger],
	FeatureConsole:    has[ConsoleOpener],
	FeatureExec:       has[Execer],
	FeatureExecUser:   has[Execer],
	FeatureExecDir:    has[Execer],
	FeatureExecTTY:    has[Execer],
	FeatureResize:     has[Resizer],
	FeatureSnapshots:  has[Snapshotter],
	FeatureImages:     has[Imager],
	FeatureWatch:      has[Watcher],
	FeatureCheck:      has[Checker],
	FeatureUsage:      has[StatsReader],
	FeatureAddresses:  has[Addresser],
	FeatureOrphans:    has[Sweeper],
	FeatureRender:     has[Renderer],
	FeatureAutostart:  has[Autostarter],
}

func has[T any](b Backend) bool {
	_, ok := b.(T)
	return ok
}

// Features returns every feature that this version of the library knows,
// sorted.
func Features() []Feature {
	all := []Feature{FeatureOwnKernel, FeatureResidency}
	for f := range verbs {
		all = append(all, f)
	}
	for _, u := range specUses {
		all = append(all, u.feature)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Supports returns nil if the feature can be had here, and otherwise an
// [UnsupportedError] with the reason: the same that the verb itself returns. For
// what is in Info.Untried it takes the trial, which may last a second or two;
// where none could be made, the error is another one and says why.
func (h *Host) Supports(f Feature) error { return h.supports(context.Background(), f) }

func (h *Host) supports(ctx context.Context, f Feature) error {
	if why, ok := h.info.Missing[f]; ok {
		return h.unsupported(f, why)
	}
	switch f {
	case FeatureOwnKernel:
		if !h.info.OwnKernel {
			return h.unsupported(f, "its guests share the host's kernel")
		}
		return nil
	case FeatureResidency:
		if h.opts.Residency == "" {
			return h.unsupported(f, "Options.Residency does not say where this host is")
		}
		return nil
	}
	if is, ok := verbs[f]; ok {
		if !is(h.backend) {
			return h.unsupported(f, "the backend does not implement it")
		}
		return nil
	}
	if !slices.Contains(h.info.Honours, f) {
		return h.unsupported(f, "the backend does not honour it")
	}
	if t, ok := h.backend.(Trier); ok && slices.Contains(h.info.Untried, f) {
		return h.call(ctx, Call{Op: "try"}, func(ctx context.Context) error { return t.Try(ctx, f) })
	}
	return nil
}

func (h *Host) unsupported(f Feature, why string) error {
	return &UnsupportedError{Feature: f, Kind: h.info.Kind, Reason: why}
}

// need returns the backend as T, the interface behind f, or why not.
func need[T any](h *Host, f Feature) (T, error) {
	var none T
	if err := h.Supports(f); err != nil {
		return none, err
	}
	t, ok := h.backend.(T)
	if !ok {
		return none, h.unsupported(f, "the backend does not implement it")
	}
	return t, nil
}

// specUses tells which features a Spec uses.
var specUses = []struct {
	feature Feature
	used    func(*Spec) bool
}{
	{FeatureImage, func(s *Spec) bool { return s.Image != "" }},
	{FeatureHostname, func(s *Spec) bool { return s.Hostname != "" }},
	{FeatureCPUCount, func(s *Spec) bool { return s.CPU.Count != 0 }},
	{FeatureCPULimit, func(s *Spec) bool { return s.CPU.Limit != 0 }},
	{FeatureCPUWeight, func(s *Spec) bool { return s.CPU.Weight != 0 }},
	{FeatureCPUPin, func(s *Spec) bool { return len(s.CPU.Pin) > 0 }},
	{FeatureMemorySize, func(s *Spec) bool { return s.Memory.Size != 0 }},
	{FeatureMemorySwap, func(s *Spec) bool { return s.Memory.Swap != 0 }},
	{FeatureMemoryGuaranteed, func(s *Spec) bool { return s.Memory.Guaranteed || s.Needs.GuaranteedMemory }},
	{FeatureMemoryHugePages, func(s *Spec) bool { return s.Memory.HugePages }},
	{FeatureDiskSize, anyDisk(func(d Disk) bool { return d.Size != 0 })},
	{FeatureDataDisks, func(s *Spec) bool { return len(s.Disks) > 1 }},
	{FeatureDiskInodes, anyDisk(func(d Disk) bool { return d.Inodes != 0 })},
	{FeatureDiskIOPS, anyDisk(func(d Disk) bool { return d.IOPS != 0 })},
	{FeatureDiskBPS, anyDisk(func(d Disk) bool { return d.BPS != 0 })},
	{FeatureNICs, func(s *Spec) bool { return len(s.NICs) > 0 }},
	{FeatureNICVLAN, anyNIC(func(n NIC) bool { return n.VLAN != 0 })},
	{FeatureNICAddresses, anyNIC(func(n NIC) bool { return len(n.Addresses)+len(n.Gateways) > 0 })},
	{FeatureNICRate, anyNIC(func(n NIC) bool { return n.Rate != Rate{} })},
	{FeatureNICAntiSpoof, anyNIC(func(n NIC) bool { return n.AntiSpoof == On })},
	{FeatureNICMTU, anyNIC(func(n NIC) bool { return n.MTU != 0 })},
	{FeatureNICIsolated, anyNIC(func(n NIC) bool { return n.Isolated })},
	{FeatureDNS, func(s *Spec) bool { return len(s.DNS.Servers)+len(s.DNS.Search) > 0 }},
	{FeatureProcesses, func(s *Spec) bool { return s.Limits.Processes != 0 }},
	{FeatureOpenFiles, func(s *Spec) bool { return s.Limits.OpenFiles != 0 }},
	{FeatureAccess, func(s *Spec) bool {
		return s.Access.User != "" || s.Access.PasswordHash != "" || len(s.Access.AuthorizedKeys) > 0
	}},
	{FeatureUserData, func(s *Spec) bool { return len(s.UserData) > 0 }},
	{FeatureAutostart, func(s *Spec) bool { return s.Autostart }},
	{FeatureOwnKernel, func(s *Spec) bool { return s.Needs.OwnKernel }},
	{FeatureResidency, func(s *Spec) bool { return s.Needs.Residency != "" }},
	{FeatureNative, func(s *Spec) bool { return s.Native != nil }},
}

func anyDisk(f func(Disk) bool) func(*Spec) bool {
	return func(s *Spec) bool { return slices.ContainsFunc(s.Disks, f) }
}

func anyNIC(f func(NIC) bool) func(*Spec) bool {
	return func(s *Spec) bool { return slices.ContainsFunc(s.NICs, f) }
}

// Features returns the features that the Spec asks for, sorted: what a host
// must support to make this guest.
func (s Spec) Features() []Feature {
	var list []Feature
	for _, u := range specUses {
		if u.used(&s) {
			list = append(list, u.feature)
		}
	}
	slices.SortFunc(list, cmp.Compare[Feature])
	return list
}

// supportsSpec returns every reason why this host cannot honour the Spec.
func (h *Host) supportsSpec(ctx context.Context, s *Spec) []error {
	var errs []error
	for _, f := range s.Features() {
		if err := h.supports(ctx, f); err != nil {
			errs = append(errs, err)
		}
	}
	if want, have := s.Needs.Residency, h.opts.Residency; want != "" && have != "" && want != have {
		errs = append(errs, h.unsupported(FeatureResidency, fmt.Sprintf("the guest must stay in %s and this host is in %s", want, have)))
	}
	if s.Native != nil && s.Native.NativeKind() != h.info.Kind {
		errs = append(errs, h.unsupported(FeatureNative, fmt.Sprintf("these native settings are for %s", s.Native.NativeKind())))
	}
	return errs
}
