//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
	"github.com/google/uuid"
	"github.com/guestforge/provision/internal/kvmrig"
)

// raw does with bare calls of go-libvirt what the backend does: the same volumes
// and the same domain, whose document is taken from a guest that the backend made.
type raw struct {
	l        *libvirt.Libvirt
	pool     libvirt.StoragePool
	dir      string
	image    string // path of the volume
	template string // the document of a guest named "template" with templateID
	id       string
	seed     []byte
}

func newRaw(ctx context.Context, b *bench) (*raw, error) {
	g, err := b.host.Create(ctx, kvmrig.HaltSpec("template"), nil)
	if err != nil {
		return nil, err
	}
	r := &raw{l: libvirt.NewWithDialer(dialers.NewLocal(dialers.WithSocket(b.rig.Socket))), dir: b.rig.PoolDir, id: string(g.ID())}
	if err := r.l.ConnectToURI(libvirt.QEMUSystem); err != nil {
		return nil, err
	}
	if r.pool, err = r.l.StoragePoolLookupByName("default"); err != nil {
		return nil, err
	}
	vols, _, err := r.l.StoragePoolListAllVolumes(r.pool, 1, 0)
	if err != nil {
		return nil, err
	}
	for _, v := range vols {
		if !strings.HasPrefix(v.Name, r.id) {
			r.image = v.Key
		}
	}
	d, err := r.l.DomainLookupByName("template")
	if err != nil {
		return nil, err
	}
	if r.template, err = r.l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive); err != nil {
		return nil, err
	}
	v, err := r.l.StorageVolLookupByName(r.pool, r.id+".seed.img")
	if err != nil {
		return nil, err
	}
	_, size, _, err := r.l.StorageVolGetInfo(v)
	if err != nil {
		return nil, err
	}
	r.seed = make([]byte, size) // its content makes no difference
	return r, g.Delete(ctx, nil)
}

func (r *raw) close() { _ = r.l.Disconnect() }

// document is that of another guest.
func (r *raw) document(name, id string) string {
	return strings.NewReplacer(">template<", ">"+name+"<", r.id, id).Replace(r.template)
}

func (r *raw) volume(name, format string, size int, backing string) error {
	_, err := r.l.StorageVolCreateXML(r.pool, fmt.Sprintf(
		"<volume><name>%s</name><capacity unit='bytes'>%d</capacity><allocation>0</allocation><target><format type='%s'/><permissions><mode>0600</mode></permissions></target>%s</volume>",
		name, size, format, backing), 0)
	return err
}

// live is the whole life of a guest: volumes, define, start, destroy, undefine.
func (r *raw) live(name string) error {
	id := uuid.NewString()
	d, err := r.l.DomainDefineXMLFlags(r.document(name, id), libvirt.DomainDefineValidate)
	if err != nil {
		return err
	}
	backing := "<backingStore><path>" + r.image + "</path><format type='raw'/></backingStore>"
	if err := r.volume(id+".root.qcow2", "qcow2", 1<<20, backing); err != nil {
		return err
	}
	if err := r.volume(id+".seed.img", "raw", len(r.seed), ""); err != nil {
		return err
	}
	seed, err := r.l.StorageVolLookupByName(r.pool, id+".seed.img")
	if err != nil {
		return err
	}
	if err := r.l.StorageVolUpload(seed, bytes.NewReader(r.seed), 0, uint64(len(r.seed)), 0); err != nil {
		return err
	}
	if err := r.volume(id+".console.log", "raw", 0, ""); err != nil {
		return err
	}
	if err := r.l.DomainCreate(d); err != nil {
		return err
	}
	if err := r.l.DomainDestroy(d); err != nil {
		return err
	}
	for _, name := range []string{".root.qcow2", ".seed.img", ".console.log"} {
		v, err := r.l.StorageVolLookupByPath(filepath.Join(r.dir, id+name))
		if err != nil {
			return err
		}
		if err := r.l.StorageVolDelete(v, 0); err != nil {
			return err
		}
	}
	return r.l.DomainUndefine(d)
}

// list asks for the state of all, and for what starts with the host.
func (r *raw) list(groups libvirt.DomainStatsTypes) error {
	if _, err := r.l.ConnectGetAllDomainStats(nil, uint32(groups), 0); err != nil {
		return err
	}
	_, _, err := r.l.ConnectListAllDomains(1, libvirt.ConnectListDomainsAutostart)
	return err
}
