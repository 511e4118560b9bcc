package kvm

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// users finds who needs what: the domains of the host, foreign ones included,
// whose definition or running state has one of the wanted words as an attribute
// or a text, and the volumes of all active pools that stand on one of them. The
// words are paths and names of volumes. It returns what each is used by, in words.
//
// What it cannot see is a file outside of all pools that stands on a volume, of a
// domain that is off: only QEMU reads chains of such files.
func (b *Backend) users(ctx context.Context, want map[string]bool) (map[string][]string, error) {
	used := map[string][]string{}
	add := func(word, by string) { used[word] = append(used[word], by) }
	all, err := b.domains(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		texts, err := b.bothDefinitions(ctx, d)
		if err != nil {
			return nil, err
		}
		for word := range wordsOf(texts, want) {
			add(word, "domain "+d.Name)
		}
	}
	err = b.eachVolume(ctx, func(pool string, v libvirt.StorageVol, doc *libvirtxml.StorageVolume) {
		if doc.BackingStore != nil && want[doc.BackingStore.Path] {
			add(doc.BackingStore.Path, fmt.Sprintf("volume %s of pool %s", v.Name, pool))
		}
	})
	return used, err
}

// bothDefinitions returns the persistent and the live configuration of a domain;
// none of one that is gone.
func (b *Backend) bothDefinitions(ctx context.Context, d libvirt.Domain) (texts []string, err error) {
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		texts = nil
		for _, flags := range []libvirt.DomainXMLFlags{libvirt.DomainXMLInactive, 0} {
			text, err := l.DomainGetXMLDesc(d, flags)
			if err != nil {
				return err
			}
			texts = append(texts, text)
		}
		return nil
	})
	if hasCode(err, libvirt.ErrNoDomain) {
		return nil, nil
	}
	return texts, err
}

// wordsOf returns the wanted words that stand in documents. In one that cannot be
// read to its end, which libvirt does not write, they may stand anywhere.
func wordsOf(texts []string, want map[string]bool) map[string]bool {
	have := map[string]bool{}
	note := func(word string) {
		if want[word] {
			have[word] = true
		}
	}
	for _, text := range texts {
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			t, err := d.RawToken()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				for word := range want {
					if strings.Contains(text, word) {
						note(word)
					}
				}
				break
			}
			switch t := t.(type) {
			case xml.StartElement:
				for _, a := range t.Attr {
					note(a.Value)
				}
			case xml.CharData:
				note(strings.TrimSpace(string(t)))
			}
		}
	}
	return have
}

// eachVolume reads the volumes of all active pools. What a pool that is not ours
// cannot tell is left out; of ours it is an error.
func (b *Backend) eachVolume(ctx context.Context, do func(pool string, v libvirt.StorageVol, doc *libvirtxml.StorageVolume)) error {
	var pools []libvirt.StoragePool
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		pools, _, err = l.ConnectListAllStoragePools(1, libvirt.ConnectListStoragePoolsActive)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range pools {
		err := b.volumesOf(ctx, p, do)
		var answer libvirt.Error
		if err != nil && (b.opts.ours(p.Name) || !errors.As(err, &answer)) {
			return err
		}
	}
	return nil
}

// ours says whether guests or images are in a pool.
func (o *Options) ours(pool string) bool { return pool == o.Pool || pool == o.FilePool }

func (b *Backend) volumesOf(ctx context.Context, p libvirt.StoragePool, do func(string, libvirt.StorageVol, *libvirtxml.StorageVolume)) error {
	var vols []libvirt.StorageVol
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		vols, _, err = l.StoragePoolListAllVolumes(p, 1, 0)
		return err
	})
	for _, v := range vols {
		doc, err := b.volumeDoc(ctx, v)
		if errors.Is(err, provision.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		do(p.Name, v, doc)
	}
	return err
}

// volumeDoc describes a volume.
func (b *Backend) volumeDoc(ctx context.Context, v libvirt.StorageVol) (*libvirtxml.StorageVolume, error) {
	var text string
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		text, err = l.StorageVolGetXMLDesc(v, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	var doc libvirtxml.StorageVolume
	if err := doc.Unmarshal(text); err != nil {
		return nil, fmt.Errorf("volume %s: %w", v.Name, err)
	}
	return &doc, nil
}

// imageUnused refuses an image that something stands on of which Host knows
// nothing: the disk of a foreign domain, or a volume that no domain has.
func (b *Backend) imageUnused(ctx context.Context, p *pool, image string, vols []libvirt.StorageVol) error {
	want := map[string]bool{}
	for _, v := range vols {
		if v.Name == contentName(image, "qcow2") || v.Name == contentName(image, "raw") {
			want[v.Name], want[p.path(v.Name)] = true, true
		}
	}
	if len(want) == 0 {
		return nil
	}
	used, err := b.users(ctx, want)
	if err != nil {
		return err
	}
	var by []string
	for _, list := range used {
		by = append(by, list...)
	}
	if len(by) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it is used by %s", provision.ErrState, shortList(by))
}

// shortList names the first few, sorted, and how many there are beside.
func shortList(list []string) string {
	list = sortedSet(list)
	const most = 5
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
