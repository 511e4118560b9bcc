package kvm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

func (e *examination) storage(ctx context.Context) ([]provision.Finding, error) {
	f, err := e.checkPool(ctx)
	return []provision.Finding{f}, err
}

func (b *Backend) checkPool(ctx context.Context) (provision.Finding, error) {
	f := provision.Finding{Check: "pool", Severity: provision.SeverityInfo, Message: "the storage pool is active"}
	p, err := b.pool(ctx)
	var wrong *provision.FieldError
	switch {
	case errors.As(err, &wrong):
		f.Severity, f.Message, f.Remedy = provision.SeverityError, fmt.Sprintf("pool %q cannot be used", wrong.Value), wrong.Problem
		return f, nil
	case errors.Is(err, errors.ErrUnsupported):
		f.Severity, f.Message, f.Remedy = provision.SeverityError, err.Error(), "use a pool of type dir, fs, netfs or logical"
		return f, nil
	case err != nil:
		return f, err
	}
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		var evidence []string
		for _, p := range p.each() {
			_, size, _, free, err := l.StoragePoolGetInfo(p.ref)
			if err != nil {
				return err
			}
			evidence = append(evidence, fmt.Sprintf("%s: %d of %d MiB free", p.dir, free>>20, size>>20))
			if free < size/20 {
				f.Severity, f.Message, f.Remedy = provision.SeverityWarning, fmt.Sprintf("the storage pool %q is almost full", p.name), "free space or add a larger pool"
			}
		}
		f.Evidence = strings.Join(evidence, ", ")
		return nil
	})
	return f, err
}
