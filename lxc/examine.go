//go:build linux

package lxc

import (
	"context"
	"os"

	"github.com/guestforge/provision"
)

// Check implements [provision.Checker].
func (b *Backend) Check(ctx context.Context) ([]provision.Finding, error) {
	m := &machine{files: os.DirFS("/"), try: localProber{}, path: b.opts.LXCPath, start: b.opts.Start, attach: b.opts.Attach,
		liblxc: b.lib.version(), ids: idRange{uint64(b.opts.IDs.First), uint64(b.opts.IDs.Blocks) * idBlock},
		guests: map[string]bool{}, names: map[string]bool{}, bridges: map[string][]string{}}
	names, err := b.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		m.names[name] = true
		d, err := b.load(name)
		if err != nil || d == nil {
			continue // others', or gone
		}
		m.guests[string(d.ID)] = true
		for _, n := range d.Spec.NICs {
			m.bridges[n.Bridge] = append(m.bridges[n.Bridge], name)
		}
	}
	claims, err := b.claims()
	if err != nil {
		return nil, err
	}
	for _, c := range claims {
		if first := b.opts.IDs.First; c.base >= first && (c.base-first)/idBlock < uint32(b.opts.IDs.Blocks) {
			m.blocks++
		}
	}
	return examine(ctx, m)
}

var _ provision.Checker = (*Backend)(nil)
