package kvm

import (
	"context"

	"github.com/guestforge/provision"
)

// consolePart is how much of a log one call returns at the most.
const consolePart = 256 << 10

// ConsoleLog implements [provision.ConsoleLogger]. The log is a volume, so that
// it is read through libvirt.
func (b *Backend) ConsoleLog(ctx context.Context, id provision.ID, offset int64) ([]byte, error) {
	p, err := b.pool(ctx)
	if err != nil {
		return nil, err
	}
	v, err := b.byName(ctx, p.ofFiles(), consoleName(id))
	if err != nil {
		return nil, err
	}
	return b.download(ctx, v, uint64(offset), consolePart)
}
