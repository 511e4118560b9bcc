package kvm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/ctxerr"
)

// undefineAll is what a domain may have beside itself: without these flags an
// undefine is refused. Snapshots and checkpoints are metadata here; the files of
// external ones are disks of the domain.
const undefineAll = libvirt.DomainUndefineManagedSave | libvirt.DomainUndefineSnapshotsMetadata |
	libvirt.DomainUndefineCheckpointsMetadata | libvirt.DomainUndefineNvram

// undefineTPM takes the state of an emulated TPM away that is kept when the
// domain is undefined (persistent_state). libvirt has had it since 8.9.0.
const (
	undefineTPM      = libvirt.DomainUndefineTpm
	undefineTPMSince = 8_009_000
)

func undefineFlags(version uint64) libvirt.DomainUndefineFlagsValues {
	if version >= undefineTPMSince {
		return undefineAll | undefineTPM
	}
	return undefineAll
}

// Delete implements [provision.Backend]. The guest is off before its domain is
// undefined: undefining a running one only hides it. Others may start it in
// between, so that is looked at again before and after.
//
// What libvirt keeps of a domain in its own directories goes with it: the saved
// memory, NVRAM, the state of an emulated TPM, what it knows of snapshots and
// checkpoints. The memory of a snapshot that somebody put into a file elsewhere
// stays.
func (b *Backend) Delete(ctx context.Context, id provision.ID, s *provision.Steps) error {
	if err := s.Do(ctx, "power off", func(ctx context.Context) error {
		return gone(b.Stop(ctx, id, provision.Kill))
	}); err != nil {
		return err
	}
	if err := s.Do(ctx, "disks", func(ctx context.Context) error { return b.deleteVolumes(ctx, id) }); err != nil {
		return err
	}
	if err := s.Do(ctx, "console logs", func(ctx context.Context) error {
		// What virtlogd made of a log that grew large is NAME.0, NAME.1 and so
		// on. Where there is any, there is the first.
		return b.deleteLog(ctx, id, consoleName(id)+".0")
	}); err != nil {
		return err
	}
	return s.Do(ctx, "undefine", func(ctx context.Context) error {
		if err := b.undefine(ctx, id); err != nil {
			return err
		}
		// A start that somebody tried without the disks has made the log anew.
		// Nobody can from here on.
		return b.deleteLog(ctx, id, consoleName(id))
	})
}

// undefineTries is how often somebody else may start the domain meanwhile.
const undefineTries = 5

// undefine makes the domain go away, running or not.
func (b *Backend) undefine(ctx context.Context, id provision.ID) error {
	for range undefineTries {
		err := b.settle(ctx, b.change(ctx, id, undefineIfOff), domainGone(id))
		if errors.Is(err, provision.ErrNotFound) {
			return nil
		}
		if err != nil && !errors.Is(err, errIsOn) {
			return err
		}
		if err := gone(b.Stop(ctx, id, provision.Kill)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: somebody keeps starting it", provision.ErrBusy)
}

var errIsOn = errors.New("the domain is on")

// undefineIfOff succeeds also where the domain was started just before it was
// undefined: it is transient then, and gone when it is killed. The caller goes on
// until there is none.
func undefineIfOff(l *libvirt.Libvirt, d libvirt.Domain) error {
	version, err := l.ConnectGetLibVersion()
	if err != nil {
		return err
	}
	active, err := l.DomainIsActive(d)
	if err != nil {
		return err
	}
	if active != 0 {
		return errIsOn
	}
	return l.DomainUndefineFlags(d, undefineFlags(version))
}

func gone(err error) error {
	if errors.Is(err, provision.ErrNotFound) {
		return nil
	}
	return err
}

// deleteVolumes removes every volume that has the guest's ID in its name. Block
// devices are overwritten first: whoever gets their place next would read what was
// on them.
func (b *Backend) deleteVolumes(ctx context.Context, id provision.ID) error {
	p, err := b.pool(ctx)
	if err != nil {
		return err
	}
	if err := b.deleteSources(ctx, p, id); err != nil {
		return err
	}
	return b.deleteAll(ctx, p, string(id)+".")
}

// deleteAll removes every volume of our pools whose name begins with a prefix.
func (b *Backend) deleteAll(ctx context.Context, p *pool, prefix string) error {
	for _, p := range p.each() {
		vols, err := b.volumes(ctx, p, prefix)
		if err != nil {
			return err
		}
		for _, v := range vols {
			if err := b.erase(ctx, v, p.block()); err != nil {
				return err
			}
		}
	}
	return nil
}

// erase deletes a volume, after a wipe where it is a block device.
func (b *Backend) erase(ctx context.Context, v libvirt.StorageVol, block bool) error {
	if block {
		if err := b.wipe(ctx, v); err != nil {
			return err
		}
	}
	return b.deleteVolume(ctx, v)
}

// wipe overwrites a volume with zeroes. libvirtd does it in one call, which the
// context alone ends; what is gone is success. As it takes long, only a few run at a
// time.
func (b *Backend) wipe(ctx context.Context, v libvirt.StorageVol) error {
	var err error
	begin := time.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err = b.conns.transfer(ctx, func(l *libvirt.Libvirt) error { return l.StorageVolWipe(v, 0) })
		if !errors.Is(err, provision.ErrState) || time.Since(begin) > 10*b.opts.Timeout {
			break // one that is still being made or copied is waited for
		}
		if serr := ctxerr.Sleep(ctx, pause); serr != nil {
			return fmt.Errorf("volume %s: %w: %w", v.Name, serr, err)
		}
	}
	if err != nil && !errors.Is(err, provision.ErrNotFound) {
		return fmt.Errorf("volume %s: wipe: %w", v.Name, err)
	}
	return nil
}

// deleteSources removes the files that the domain names and that have the
// guest's ID in their names, in whatever pool they are: Options.Pool may have
// been another one when the guest was made. Files that no pool knows, as
// external snapshots make them, are made known to ours first.
func (b *Backend) deleteSources(ctx context.Context, p *pool, id provision.ID) error {
	d, err := domainOf(id)
	if err != nil {
		return gone(err)
	}
	var found []libvirt.StorageVol
	var unknown map[*pool][]string
	block := map[string]bool{} // by key
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		found, unknown = nil, map[*pool][]string{}
		text, err := l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
		if err != nil {
			return err
		}
		inv, err := domainxml.Read([]byte(text))
		if err != nil {
			return err
		}
		for _, d := range append(inv.Disks, domainxml.DiskItem{Source: inv.Console}) {
			file := d.Source
			if !strings.HasPrefix(path.Base(file), string(id)+".") {
				continue
			}
			v, err := l.StorageVolLookupByPath(file)
			switch {
			case hasCode(err, libvirt.ErrNoStorageVol):
				for _, p := range p.each() {
					if path.Dir(file) == p.dir && !p.block() {
						unknown[p] = append(unknown[p], path.Base(file))
					}
				}
				if err := reachable(l, file); err != nil {
					return err
				}
			case err != nil:
				return err
			default:
				found = append(found, v)
				block[v.Key] = d.Type == "block"
			}
		}
		return nil
	})
	if err != nil {
		return gone(err)
	}
	for _, v := range found {
		if err := b.erase(ctx, v, block[v.Key]); err != nil {
			return err
		}
	}
	for p, names := range unknown {
		if err := b.reveal(ctx, p, names...); err != nil {
			return err
		}
	}
	return nil
}

// reveal makes files known to their pool, if they exist. Refreshing a pool disturbs
// others, so it is done only where one of them does, which shows when a volume of
// its name cannot be made. One that could be made has the guest's ID in its name, as
// all here, and is deleted with the others.
func (b *Backend) reveal(ctx context.Context, p *pool, names ...string) error {
	for _, name := range names {
		_, err := b.createVolume(ctx, p, volume{name: name, format: "raw"})
		exists := errors.Is(err, provision.ErrExists) || errors.Is(err, provision.ErrState) // 55: the path exists
		if exists || errors.Is(err, syscall.ENOSPC) {
			return b.refresh(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteLog removes a file that the pool may not know, and all others that have the
// guest's ID in their names.
func (b *Backend) deleteLog(ctx context.Context, id provision.ID, name string) error {
	p, err := b.pool(ctx)
	if err != nil {
		return err
	}
	if err := b.reveal(ctx, p.ofFiles(), name); err != nil {
		return err
	}
	return b.deleteAll(ctx, p, string(id)+".")
}
