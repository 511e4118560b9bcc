package kvm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Inspect implements [provision.Backend]. It reads the persistent
// configuration, in which our record is; state and disk sizes are live.
func (b *Backend) Inspect(ctx context.Context, ref provision.Ref) (provision.Found, error) {
	var f provision.Found
	var d libvirt.Domain
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		if d, err = lookup(l, ref); err != nil {
			return err
		}
		state, reason, err := l.DomainGetState(d, 0)
		if err != nil {
			return err
		}
		auto, err := l.DomainGetAutostart(d)
		if err != nil && !hasCode(err, libvirt.ErrOperationInvalid) { // transient domains have none
			return err
		}
		if f, err = configuration(l, d); err != nil {
			return err
		}
		f.Status.State, f.Status.Reason = stateOf(state, reason)
		f.Status.Autostart = auto != 0
		filters, err := b.readFiltersOf(l, &f.Status)
		filters.confirm(&f.Status)
		return err
	})
	if err != nil {
		return f, err
	}
	off := !hasGroup(f.Status.State)
	if !off {
		// It may have gone off meanwhile.
		off, err = b.readLive(ctx, d, &f.Status, f.Record != nil)
	}
	if off {
		weigh(f.Status.Limits, b.scale)
	}
	return f, err
}

// scale returns the scale of weights in definitions, or why it is not known: a read
// makes no trial.
func (b *Backend) scale() (weights, string) {
	if w := b.known().weights; w != weightsUnknown {
		return w, ""
	}
	if err, known := b.trials.verdict(provision.FeatureCPULimit); known && err != nil {
		return weightsUnknown, err.Error()
	}
	return weightsUnknown, "which scale this host's weights have is not known until a guest with a limit of its processors is planned or runs"
}

// weigh translates the weights that were read from definitions.
func weigh(list []provision.Limit, scale func() (weights, string)) {
	for i, l := range list {
		raw, ok := strings.CutPrefix(l.Have, rawShares)
		if !ok {
			continue
		}
		n, _ := strconv.ParseUint(raw, 10, 63)
		list[i].Have = ""
		if w, why := scale(); w == weightsUnknown {
			list[i].Enforcement, list[i].Reason = provision.NotEnforced, why
		} else {
			list[i].Have = strconv.Itoa(w.weight(n))
		}
	}
}

func lookup(l *libvirt.Libvirt, ref provision.Ref) (libvirt.Domain, error) {
	if ref.ID != "" {
		return domainOf(ref.ID)
	}
	return l.DomainLookupByName(ref.Name)
}

// state returns the state alone.
func (b *Backend) state(ctx context.Context, id provision.ID) (provision.State, string, error) {
	d, err := domainOf(id)
	if err != nil {
		return provision.StateUnknown, "", err
	}
	var state, reason int32
	err = b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		state, reason, err = l.DomainGetState(d, 0)
		return err
	})
	st, why := stateOf(state, reason)
	return st, why, err
}

// configuration reads all of a guest but what changes by itself: state, reason
// and autostart.
func configuration(l *libvirt.Libvirt, d libvirt.Domain) (provision.Found, error) {
	text, err := l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
	if err != nil {
		return provision.Found{}, err
	}
	inv, err := domainxml.Read([]byte(text))
	if err != nil {
		return provision.Found{}, err
	}
	f := found(inv)
	t, err := parseTuned(text)
	if err != nil {
		return provision.Found{}, err
	}
	f.Status.Limits = append(f.Status.Limits, t.limits(weightsUnknown)...)
	for i := range f.Status.Disks {
		size, err := sizeOf(l, f.Status.Disks[i].Source)
		if err != nil {
			return provision.Found{}, err
		}
		f.Status.Disks[i].Size = size
	}
	return f, nil
}

// found puts together what the document of a domain says.
func found(inv *domainxml.Inventory) provision.Found {
	st := provision.Status{Name: inv.Name, ID: provision.ID(inv.UUID), CPUs: inv.CPUs, Memory: provision.Bytes(inv.Memory)}
	for _, d := range inv.Disks {
		if path.Base(d.Source) != seedName(st.ID) {
			st.Disks = append(st.Disks, provision.DiskStatus{Target: d.Target, Source: d.Source, Serial: d.Serial})
		}
	}
	_, ours := inv.Metadata[namespace]
	for i, n := range inv.NICs {
		nic := provision.NICStatus{Bridge: n.Source, VLAN: n.VLAN, Device: n.Device, MTU: n.MTU, Isolated: n.Isolated}
		nic.MAC, _ = provision.ParseMAC(n.MAC) // zero where a foreign guest has none
		st.NICs = append(st.NICs, nic)
		if ours {
			st.Limits = append(st.Limits, antiSpoof(i, n))
		}
	}
	f := provision.Found{Status: st}
	if text, ok := inv.Metadata[namespace]; ok {
		f.Record = provision.Record(text)
	}
	return f
}

// sizeOf returns the size of a disk, or zero where its volume is not known, as
// foreign guests have it.
func sizeOf(l *libvirt.Libvirt, source string) (provision.Bytes, error) {
	var size uint64
	v, err := l.StorageVolLookupByPath(source)
	if err == nil {
		_, size, _, err = l.StorageVolGetInfo(v)
	}
	var answer libvirt.Error
	if errors.As(err, &answer) {
		return 0, nil
	}
	return provision.Bytes(size), err
}

// Reasons that are worth words, from virDomainPausedReason,
// virDomainShutoffReason and virDomainCrashedReason in libvirt-domain.h.
var (
	pausedReasons  = map[int32]string{1: "by a user", 2: "it is being migrated", 3: "it is being saved", 4: "it is being dumped", 5: "a disk error", 6: "a watchdog", 7: "it was restored so", 8: "it is shutting down", 9: "a snapshot is made", 10: "it crashed", 12: "it is being migrated", 13: "its migration failed half-way", 14: "the hypervisor's interface broke"}
	shutoffReasons = map[int32]string{4: "it was migrated away", 5: "its memory is saved", 6: "it could not be started"}
)

const (
	reasonCrashed    = 3  // of a domain that is shut off
	reasonStartingUp = 11 // of a domain that is paused
)

// stateOf translates a state and its reason.
func stateOf(state, reason int32) (provision.State, string) {
	switch libvirt.DomainState(state) {
	case libvirt.DomainRunning, libvirt.DomainBlocked:
		return provision.StateRunning, ""
	case libvirt.DomainPaused:
		if reason == reasonStartingUp {
			return provision.StateStarting, ""
		}
		return provision.StatePaused, pausedReasons[reason]
	case libvirt.DomainShutdown:
		return provision.StateStopping, ""
	case libvirt.DomainShutoff:
		if reason == reasonCrashed {
			return provision.StateCrashed, "its QEMU process died"
		}
		return provision.StateStopped, shutoffReasons[reason]
	case libvirt.DomainCrashed:
		return provision.StateCrashed, "the guest crashed"
	case libvirt.DomainPmsuspended:
		return provision.StatePaused, "the guest suspended itself"
	}
	return provision.StateUnknown, fmt.Sprintf("libvirt gives it state %d", state)
}
