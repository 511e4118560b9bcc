//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/rootfs"
)

// edit opens the root of a guest that is off, for writing.
func (b *Backend) edit(d *definition, f func(t *rootfs.Tree) error) error {
	return b.rootOf(d).Edit(func(dir string, id uint32) (err error) {
		t, err := rootfs.Open(dir, int(id), int(id))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.Close()) }()
		return f(t)
	})
}

// firstBoot writes what the guest is to find when it boots.
func (b *Backend) firstBoot(ctx context.Context, d *definition, s *provision.Spec) error {
	return b.edit(d, func(t *rootfs.Tree) error {
		t.NoSync = true // a guest that is being made is made anew after a crash of the host
		report, err := t.Apply(ctx, firstBootOf(d, s))
		for _, note := range report.Notes {
			b.opts.Logger.InfoContext(ctx, "first boot", "guest", d.Spec.Name, "note", note)
		}
		return misfit(err)
	})
}

func firstBootOf(d *definition, s *provision.Spec) rootfs.FirstBoot {
	fb := rootfs.FirstBoot{InstanceID: string(d.ID), NewIdentity: true, Hostname: d.hostname(), UserData: s.UserData,
		DNS:    rootfs.DNS{Servers: s.DNS.Servers, Search: s.DNS.Search},
		Access: rootfs.Access{User: s.Access.User, AuthorizedKeys: s.Access.AuthorizedKeys, PasswordHash: s.Access.PasswordHash}}
	for i, n := range s.NICs {
		fb.NICs = append(fb.NICs, rootfs.NIC{Name: fmt.Sprintf("eth%d", i), MAC: n.MAC.String(), Addresses: n.Addresses, Gateways: n.Gateways, MTU: n.MTU})
	}
	return fb
}

// judgeFirstBoot reports what the image cannot take.
func (b *Backend) judgeFirstBoot(s *provision.Spec) (err error) {
	t, err := rootfs.Open(b.tree(s.Image), 0, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	d := newDefinition(&provision.NewGuest{ID: "new", Spec: s}) // whose ID is not known yet
	return misfit(t.Fits(firstBootOf(d, s)))
}

// misfit makes an error about a field of what is wrong with it.
func misfit(err error) error {
	var field *rootfs.FieldError
	if errors.As(err, &field) {
		return &provision.FieldError{Path: field.Path, Problem: field.Problem}
	}
	return err
}
