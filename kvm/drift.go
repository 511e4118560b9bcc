package kvm

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Drift implements [provision.Drifter]: it compares the domain as it is defined
// with the one that Create would define now. libvirt leaves passwords out of what
// is read here.
func (b *Backend) Drift(ctx context.Context, id provision.ID, have *provision.Spec) ([]provision.Change, error) {
	p, err := b.pool(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := b.learn(ctx, have); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	d, err := domainOf(id)
	if err != nil {
		return nil, err
	}
	var text string
	if err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		text, err = l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
		return err
	}); err != nil {
		return nil, err
	}
	return b.compare(text, &provision.NewGuest{ID: id, Spec: have}, p)
}

// compare keeps the record, and the choice between KVM and emulation, as the
// domain has them.
func (b *Backend) compare(text string, g *provision.NewGuest, p *pool) ([]provision.Change, error) {
	is, err := domainxml.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	inv, err := is.Inventory()
	if err != nil {
		return nil, err
	}
	g.Record = provision.Record(inv.Metadata[namespace])
	d := b.domain(g, p, inv.Type == "qemu")
	keepTargets(d.Disks, inv)
	keepQueues(d.NICs, inv)
	raw, err := document(&d, g.Spec)
	if err != nil {
		return nil, err
	}
	would, err := domainxml.Parse(raw)
	if err != nil {
		return nil, err
	}
	var list []provision.Change
	for _, d := range domainxml.Diff(is, would) {
		if foreign(d.Path) {
			d.Old, d.New = shown(d.Old), shown(d.New)
		}
		list = append(list, provision.Change{
			Path: d.Path, Have: d.Old, Want: d.New,
			Impact: provision.ImpactRestart, Reason: "the definition was changed by other means, or made by another version",
		})
	}
	return list, nil
}

var prefixRE = regexp.MustCompile(`(^|/)@?[A-Za-z_][A-Za-z0-9_.-]*:`)

// foreign says whether a path leads into what is not libvirt's own: arguments for
// QEMU, and what other programs keep in metadata. There may be secrets in that.
func foreign(path string) bool {
	return strings.HasPrefix(path, "metadata/") || prefixRE.MatchString(path)
}

// shown stands for a value that is not shown.
func shown(value string) string {
	if value == "" {
		return ""
	}
	return "(not shown)"
}
