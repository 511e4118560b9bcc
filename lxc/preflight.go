//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
	"github.com/guestforge/provision/internal/hostnet"
	"github.com/guestforge/provision/internal/roots"
)

// Preflight implements [provision.Preflighter].
func (b *Backend) Preflight(ctx context.Context, s *provision.Spec) ([]provision.Limit, error) {
	var errs problems
	if s.Image == "" {
		errs.field("image", "", "is required")
	} else if err := b.judgeImage(s); errors.Is(err, provision.ErrInvalid) {
		errs.add(err)
	} else if err != nil {
		return nil, err
	}
	if len(s.DNS.Servers)+len(s.DNS.Search) > 0 && len(s.NICs) == 0 {
		errs.field("dns", "", "is of no use to a guest without a NIC")
	}
	b.judgeDisk(s, &errs)
	b.judgeCPU(s, &errs)
	b.judgeMemory(s, &errs)
	judgeRates(s, &errs)
	if err := b.judgeNICs(ctx, s, &errs); err != nil {
		return nil, err
	}
	if n := s.Limits.OpenFiles; n != 0 {
		if most, err := os.ReadFile(nrOpen); err == nil {
			if m, err := strconv.ParseUint(strings.TrimSpace(string(most)), 10, 64); err == nil && n > m {
				errs.field("limits.openFiles", fmt.Sprint(n), fmt.Sprintf("is more than the %d that the kernel allows (fs.nr_open)", m))
			}
		}
	}
	for i, dev := range nativeOf(s).Devices {
		if _, err := os.Stat(deviceNodes[dev].path); err != nil {
			errs.field("native."+index("devices", i), string(dev), "is not on this host: "+err.Error())
		}
	}
	if err := b.admit(ctx, s); err != nil {
		errs.add(err)
	}
	d := newDefinition(&provision.NewGuest{Spec: s})
	d.Pin = s.CPU.Pin
	limits, err := b.foretell(d)
	if err != nil {
		return nil, err
	}
	for i := range limits {
		limits[i].Have = "" // nothing has been read
	}
	return limits, errors.Join(errs...)
}

// judgeImage reports an image that is not there, or cannot take what is to be written
// into the guest before its first boot.
func (b *Backend) judgeImage(s *provision.Spec) error {
	if _, err := b.image(s.Image); err != nil {
		return err
	}
	return b.judgeFirstBoot(s)
}

// nrOpen is the most that RLIMIT_NOFILE can be set to: proc_sys_fs(5).
const nrOpen = "/proc/sys/fs/nr_open"

// problems collects what is wrong with a Spec.
type problems []error

func (p *problems) add(err error) { *p = append(*p, err) }

func (p *problems) field(path, value, problem string) {
	p.add(&provision.FieldError{Path: path, Value: value, Problem: problem})
}

// ownInodes are those that ext4 keeps for itself.
const ownInodes = 11

// judgeDisk reports what no root can be made of.
func (b *Backend) judgeDisk(s *provision.Spec, errs *problems) {
	disk, root := s.Disks[0], rootKind(s)
	limited := disk.Size != 0 || disk.Inodes != 0
	switch {
	case limited && root != RootImage:
		errs.field("native.root", string(root), "has no limit of size and inodes; leave it empty, or state image")
	case root == RootImage && disk.Size == 0:
	case root == RootImage && disk.Size < roots.MinSize:
		errs.field("disks[0].size", disk.Size.String(), fmt.Sprintf("is less than the %s that a file system takes", provision.Bytes(roots.MinSize)))
	case root == RootImage && disk.Size > roots.MaxSize:
		errs.field("disks[0].size", disk.Size.String(), fmt.Sprintf("is more than the %s that a file system can have", provision.Bytes(roots.MaxSize)))
	case root == RootImage:
		m, err := b.image(s.Image)
		if err == nil && uint64(m.Bytes) > uint64(disk.Size) {
			errs.field("disks[0].size", disk.Size.String(), fmt.Sprintf("is less than the %s of the image", provision.Bytes(m.Bytes)))
		}
		if err == nil && disk.Inodes != 0 && disk.Inodes < uint64(m.Entries)+ownInodes {
			errs.field("disks[0].inodes", fmt.Sprint(disk.Inodes), fmt.Sprintf("is less than the %d that the image and the file system itself take", uint64(m.Entries)+ownInodes))
		}
	case root == RootSubvolume:
		if store, err := roots.Probe(b.opts.LXCPath); err != nil {
			errs.add(err)
		} else if !store.Subvolumes {
			errs.field("native.root", string(root), fmt.Sprintf("takes Btrfs, and %s is on %s", b.opts.LXCPath, store.FileSystem))
		}
	}
}

func (b *Backend) judgeCPU(s *provision.Spec, errs *problems) {
	for i, cpu := range s.CPU.Pin {
		if !slices.Contains(b.host.cpus, cpu) {
			errs.field(index("cpu.pin", i), fmt.Sprint(cpu), "is no processor of this host")
		}
	}
}

// judgeNICs reports what the bridges of this host cannot do.
func (b *Backend) judgeNICs(ctx context.Context, s *provision.Spec, errs *problems) error {
	if len(s.NICs) == 0 {
		return nil
	}
	net, err := hostnet.ReadLinks(ctx)
	if err != nil {
		return err
	}
	for i, n := range s.NICs {
		at := index("nics", i) + "."
		bridge, err := net.Bridge(n.Bridge)
		switch {
		case errors.Is(err, hostnet.ErrNotBridge):
			errs.field(at+"bridge", n.Bridge, "is no bridge of Linux")
		case err != nil:
			errs.field(at+"bridge", n.Bridge, "is not there; no bridge is ever made")
		case n.VLAN != 0 && !bridge.VLANFiltering:
			errs.field(at+"vlan", fmt.Sprint(n.VLAN), "takes a bridge that filters VLANs (ip link set "+n.Bridge+" type bridge vlan_filtering 1), or one bridge for each VLAN")
		}
	}
	return nil
}

// judgeRates reports rates that cannot be had.
func judgeRates(s *provision.Spec, errs *problems) {
	for i, n := range s.NICs {
		for _, r := range []struct {
			name string
			rate provision.BitRate
		}{{"rate.in", n.Rate.In}, {"rate.out", n.Rate.Out}} {
			if r.rate != 0 && (r.rate < hostnet.MinRate || r.rate > hostnet.MaxRate) {
				errs.field(nicPath(i, r.name), r.rate.String(), fmt.Sprintf("is not from %s to %s", provision.BitRate(hostnet.MinRate), provision.BitRate(hostnet.MaxRate)))
			}
		}
	}
}

// judgeMemory refuses a limit that is none.
func (b *Backend) judgeMemory(s *provision.Spec, errs *problems) {
	if s.Memory.Size > b.host.memory {
		errs.field("memory.size", s.Memory.Size.String(), fmt.Sprintf("is more than the %s that the host has", b.host.memory/provision.MiB*provision.MiB))
	}
}

// plannedLimits are those that a guest will have when it is on. The device of an image
// file, which has its number only while it is mounted, is 0:0 here. Where there is no
// device, there are no limits of transfers: see lacksDisk.
func (b *Backend) plannedLimits(d *definition) (*cgroup.Limits, error) {
	if !limitsTransfers(&d.Spec.Disks[0]) {
		return limitsOf(d), nil
	}
	return b.withTransfers(d)
}

// withTransfers has the devices also where there is no limit for them.
func (b *Backend) withTransfers(d *definition) (*cgroup.Limits, error) {
	l := limitsOf(d)
	devices, err := b.volumes(d)
	if diskless := new(cgroup.NoDiskError); errors.As(err, &diskless) {
		return l, nil
	}
	transfers(l, &d.Spec.Disks[0], devices)
	return l, err
}

func (b *Backend) volumes(d *definition) ([]cgroup.Device, error) {
	switch {
	case d.Root != RootImage:
		return b.volumesOf(b.opts.LXCPath)
	case limitsTransfers(&d.Spec.Disks[0]):
		return []cgroup.Device{{}}, nil
	}
	return nil, nil
}

// foretell says of the limits of a definition what would be in effect, and how they
// would hold.
func (b *Backend) foretell(d *definition) ([]provision.Limit, error) {
	s := &d.Spec
	want, err := b.plannedLimits(d)
	if err != nil {
		return nil, err
	}
	list := append(limitsInEffect(d, want, want, b.groups.Judge(want)), b.lacksDisk(d)...)
	list = append(list, b.foretellCount(s)...)
	for i := range s.NICs {
		list = append(list, foretellNIC(i, &s.NICs[i])...)
	}
	if n := s.Limits.OpenFiles; n != 0 {
		list = append(list, provision.Limit{Path: "limits.openFiles", Have: fmt.Sprint(n), Enforcement: provision.Enforced})
	}
	return b.trusted(d, list), nil
}

// trusts is why limits of a privileged guest do not hold for sure.
const trusts = "the guest is privileged and the host has no AppArmor: its root can leave it, by /proc/sys for example"

// trusted says of the limits of a guest that can leave its confinement that they hold
// as long as it does not.
func (b *Backend) trusted(d *definition, list []provision.Limit) []provision.Limit {
	if !d.Native.Privileged || b.host.appArmor {
		return list
	}
	if !slices.ContainsFunc(list, func(l provision.Limit) bool { return l.Path == "memory.size" }) {
		list = append(list, provision.Limit{Path: "memory.size", Have: d.Spec.Memory.Size.String(), Enforcement: provision.Enforced})
	}
	for i := range list {
		if list[i].Enforcement == provision.Enforced {
			list[i].Enforcement, list[i].Reason = provision.Partial, trusts
		}
	}
	return list
}

// foretellCount says when a guest sees another number of processors than was asked
// for: a container sees those of the host that it may use.
func (b *Backend) foretellCount(s *provision.Spec) []provision.Limit {
	sees, why := len(b.host.cpus), "the host has no more processors, and a container sees those of the host"
	if len(s.CPU.Pin) > 0 {
		sees, why = len(s.CPU.Pin), "a container sees exactly the processors that it is pinned to"
	} else if s.CPU.Count <= sees {
		return nil
	}
	if sees == s.CPU.Count {
		return nil
	}
	return []provision.Limit{{Path: "cpu.count", Want: strconv.Itoa(s.CPU.Count), Have: strconv.Itoa(sees), Enforcement: provision.Partial, Reason: why}}
}

// lacksDisk says of limits of transfers that there is no device to set them on.
func (b *Backend) lacksDisk(d *definition) []provision.Limit {
	if !limitsTransfers(&d.Spec.Disks[0]) {
		return nil
	}
	_, err := b.volumes(d)
	if diskless := new(cgroup.NoDiskError); !errors.As(err, &diskless) {
		return nil
	}
	var list []provision.Limit
	if d.Spec.Disks[0].IOPS != 0 {
		list = append(list, provision.Limit{Path: "disks[0].iops", Enforcement: provision.NotEnforced, Reason: err.Error()})
	}
	if d.Spec.Disks[0].BPS != 0 {
		list = append(list, provision.Limit{Path: "disks[0].bps", Enforcement: provision.NotEnforced, Reason: err.Error()})
	}
	return list
}
