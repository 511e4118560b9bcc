package kvm

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"
)

// Definition is how a domain is defined.
type Definition struct {
	Name string
	UUID string // as libvirt writes it: in lower case, with hyphens
	XML  []byte
}

var errNotOpen = errors.New("kvm backend: it is not open; provision.Open opens it")

// Definitions returns the definition of every domain of the host, whoever made
// it, in order of name. Of a persistent domain that is the persistent
// configuration, with which it starts the next time; a transient one has only
// that with which it runs.
//
// Secrets are in it, as passwords of displays (VIR_DOMAIN_XML_SECURE), so that
// one who judges the document sees that they are there. It is not for logs.
//
// The domains are listed at the beginning and read one by one, with no
// connection held in between; those that vanish meanwhile are left out. An error
// ends the sequence, which was not complete then: that of the context,
// [provision.ErrUnavailable] if libvirtd does not answer, [io/fs.ErrPermission]
// if it does not show secrets to this user. The Backend must have been opened by
// [provision.Open].
func (b *Backend) Definitions(ctx context.Context) iter.Seq2[Definition, error] {
	return func(yield func(Definition, error) bool) {
		all, err := b.domains(ctx)
		if err != nil {
			yield(Definition{}, err)
			return
		}
		for _, dom := range all {
			def, err := b.definition(ctx, dom)
			if hasCode(err, libvirt.ErrNoDomain) {
				continue // gone since it was listed
			}
			if !yield(def, err) || err != nil {
				return
			}
		}
	}
}

// LibvirtVersion returns the version of libvirtd as virConnectGetLibVersion has it:
// 1,000,000 × major + 1,000 × minor + release. Errors are those of Definitions.
func (b *Backend) LibvirtVersion(ctx context.Context) (v uint64, err error) {
	if !b.opened() {
		return 0, errNotOpen
	}
	err = b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		v, err = l.ConnectGetLibVersion()
		return err
	})
	return v, err
}

// opened says whether there is a socket yet to wait for.
func (b *Backend) opened() bool {
	b.conns.mu.Lock()
	defer b.conns.mu.Unlock()
	return b.conns.slots != nil
}

// domains lists all, in order of name.
func (b *Backend) domains(ctx context.Context) (all []libvirt.Domain, err error) {
	if !b.opened() {
		return nil, errNotOpen
	}
	err = b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		all, _, err = l.ConnectListAllDomains(1, 0)
		return err
	})
	slices.SortFunc(all, func(x, y libvirt.Domain) int { return strings.Compare(x.Name, y.Name) })
	return all, err
}

func (b *Backend) definition(ctx context.Context, dom libvirt.Domain) (Definition, error) {
	if ctx.Err() != nil {
		return Definition{}, ended(ctx) // an exchange might be faster than its context
	}
	var text string
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		// libvirt takes "inactive" of a transient domain as its only definition.
		text, err = l.DomainGetXMLDesc(dom, libvirt.DomainXMLInactive|libvirt.DomainXMLSecure)
		return err
	})
	if err != nil {
		return Definition{}, err
	}
	return Definition{Name: dom.Name, UUID: uuid.UUID(dom.UUID).String(), XML: []byte(text)}, nil
}
