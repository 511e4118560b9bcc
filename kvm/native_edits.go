package kvm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Bounds of Native.Edits.
const (
	maxEdits     = 64
	maxEditPath  = 500
	maxEditValue = 16 << 10
)

// validEdits reports what can be seen without the document.
func validEdits(edits []domainxml.Edit) []*provision.FieldError {
	var list []*provision.FieldError
	add := func(path, value, problem string) {
		list = append(list, &provision.FieldError{Path: path, Value: value, Problem: problem})
	}
	if len(edits) > maxEdits {
		add("edits", "", fmt.Sprintf("are %d; at most %d are accepted", len(edits), maxEdits))
		return list
	}
	for i, e := range edits {
		at := fmt.Sprintf("edits[%d]", i)
		switch e.Op {
		case domainxml.OpSet, domainxml.OpAdd, domainxml.OpRemove:
		default:
			add(at+".op", string(e.Op), "is none of set, add and remove")
		}
		if e.Path == "" || len(e.Path) > maxEditPath || !utf8.ValidString(e.Path) {
			add(at+".path", "", fmt.Sprintf("is not a path of 1 to %d bytes of UTF-8", maxEditPath))
		}
		if len(e.Value) > maxEditValue || !utf8.ValidString(e.Value) {
			add(at+".value", "", fmt.Sprintf("is not UTF-8 of at most %d bytes", maxEditValue))
		}
	}
	return list
}

// document renders the domain of a guest: what Create defines, what Drift compares
// with, and what Render returns. An edit that cannot be made is a FieldError.
func document(d *domainxml.Guest, s *provision.Spec) ([]byte, error) {
	text, err := domainxml.Build(*d)
	if err != nil {
		return nil, err
	}
	return edited(text, nativeOf(s).Edits)
}

// Render implements [provision.Renderer]: the XML of the domain, before libvirt adds
// what it always adds.
func (b *Backend) Render(ctx context.Context, g *provision.NewGuest) ([]byte, error) {
	emulated, err := b.emulated(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.pool(ctx)
	if err != nil {
		return nil, err
	}
	d := b.domain(g, p, emulated)
	return document(&d, g.Spec)
}

// edited makes edits one after the other, and looks after each whether what must
// stay did.
func edited(text []byte, edits []domainxml.Edit) ([]byte, error) {
	if len(edits) == 0 {
		return text, nil
	}
	d, err := domainxml.Parse(text)
	if err != nil {
		return nil, err
	}
	keep, err := guardedOf(d)
	if err != nil {
		return nil, err
	}
	for i, e := range edits {
		wrong := func(problem string) error {
			return &provision.FieldError{Path: fmt.Sprintf("native.edits[%d]", i), Value: e.Path, Problem: problem}
		}
		if err := d.Apply(e); err != nil {
			return nil, wrong("cannot be made: " + strings.ReplaceAll(err.Error(), "domainxml: ", ""))
		}
		if secret, err := d.Find("devices/graphics/@passwd"); err != nil || len(secret) > 0 {
			return nil, wrong("puts a password into the definition, where others can read it; set one when the guest runs")
		}
		now, err := guardedOf(d)
		if err != nil {
			return nil, wrong("makes a document that cannot be read: " + strings.ReplaceAll(err.Error(), "domainxml: ", ""))
		}
		if what := keep.broken(now); what != "" {
			return nil, wrong("changes " + what)
		}
	}
	return d.Bytes(), nil
}

// blameEdits says of a document that libvirt refuses, that it is the edits' doing:
// without them, none is refused.
func blameEdits(s *provision.Spec, err error) error {
	if err == nil || len(nativeOf(s).Edits) == 0 {
		return err
	}
	for _, code := range []libvirt.ErrorNumber{libvirt.ErrXMLError, libvirt.ErrXMLDetail, libvirt.ErrXMLInvalidSchema,
		libvirt.ErrConfigUnsupported, libvirt.ErrInvalidArg} {
		if hasCode(err, code) {
			var answer libvirt.Error
			errors.As(err, &answer)
			return fmt.Errorf("%w: %w", &provision.FieldError{Path: "native.edits", Problem: "make a document that libvirt refuses"}, answer)
		}
	}
	return err
}
