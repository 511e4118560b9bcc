package kvm

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// undefineAll is what a domain may have beside itself: without these flags an
// undefine is refused. Snapshots and checkpoints are metadata here; the files of
// external ones are disks of the domain.
const undefineAll = libvirt.DomainUndefineManagedSave | libvirt.DomainUndefineSnapshotsMetadata |
	libvirt.DomainUndefineCheckpointsMetadata | libvirt.DomainUndefineNvram

// Delete implements [provision.Backend]. The guest is off before its domain is
// undefined: undefining a running one only hides it.
func (b *Backend) Delete(ctx context.Context, id provision.ID, s *provision.Steps) error {
	if err := s.Do(ctx, "power off", func(ctx context.Context) error {
		return gone(b.Stop(ctx, id, provision.Kill))
	}); err != nil {
		return err
	}
	if err := s.Do(ctx, "disks", func(ctx context.Context) error { return b.deleteVolumes(ctx, id) }); err != nil {
		return err
	}
	if err := s.Do(ctx, "console logs", func(ctx context.Context) error { return b.deleteRotated(ctx, id) }); err != nil {
		return err
	}
	return s.Do(ctx, "undefine", func(ctx context.Context) error {
		return gone(b.change(ctx, id, func(l *libvirt.Libvirt, d libvirt.Domain) error {
			return l.DomainUndefineFlags(d, undefineAll)
		}))
	})
}

func gone(err error) error {
	if errors.Is(err, provision.ErrNotFound) {
		return nil
	}
	return err
}

// deleteVolumes removes every volume that has the guest's ID in its name.
func (b *Backend) deleteVolumes(ctx context.Context, id provision.ID) error {
	p, err := b.pool(ctx)
	if err != nil {
		return err
	}
	if err := b.deleteSources(ctx, p, id); err != nil {
		return err
	}
	vols, err := b.volumes(ctx, p, string(id)+".")
	if err != nil {
		return err
	}
	for _, v := range vols {
		if err := b.deleteVolume(ctx, v); err != nil {
			return err
		}
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
	unknown := false
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		found, unknown = nil, false
		text, err := l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
		if err != nil {
			return err
		}
		inv, err := domainxml.Read([]byte(text))
		if err != nil {
			return err
		}
		files := []string{inv.Console}
		for _, disk := range inv.Disks {
			files = append(files, disk.Source)
		}
		for _, file := range files {
			if !strings.HasPrefix(path.Base(file), string(id)+".") {
				continue
			}
			v, err := l.StorageVolLookupByPath(file)
			switch {
			case hasCode(err, libvirt.ErrNoStorageVol):
				unknown = unknown || path.Dir(file) == p.dir
			case err != nil:
				return err
			default:
				found = append(found, v)
			}
		}
		return nil
	})
	if err != nil {
		return gone(err)
	}
	for _, v := range found {
		if err := b.deleteVolume(ctx, v); err != nil {
			return err
		}
	}
	if !unknown {
		return nil
	}
	return b.write(ctx, func(l *libvirt.Libvirt) error { return l.StoragePoolRefresh(p.ref, 0) })
}

// deleteRotated removes what virtlogd made of a console log that grew large:
// NAME.0, NAME.1 and so on, files that the pool does not know. Refreshing a
// pool disturbs others, so it is done only where the first of them exists,
// which shows when a volume of that name cannot be made.
func (b *Backend) deleteRotated(ctx context.Context, id provision.ID) error {
	p, err := b.pool(ctx)
	if err != nil {
		return err
	}
	_, err = b.createVolume(ctx, p, volume{name: consoleName(id) + ".0", format: "raw"})
	switch {
	case err == nil:
	case errors.Is(err, provision.ErrExists) || errors.Is(err, provision.ErrState): // 55: the path exists
		if err := b.write(ctx, func(l *libvirt.Libvirt) error { return l.StoragePoolRefresh(p.ref, 0) }); err != nil {
			return err
		}
	default:
		return err
	}
	return b.deleteVolumes(ctx, id)
}
