//go:build linux

package lxc

import (
	"context"
	"errors"
	"os"

	"github.com/guestforge/provision"
)

// WhileFrozen is what Snapshot does around its work.
func WhileFrozen(ctx context.Context, b *Backend, id provision.ID, do func() error) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	l, err := b.lifeOf(d)
	if err != nil {
		return err
	}
	return b.whileFrozen(ctx, d, l, do)
}

// makeGuestFiles makes what names and load look at.
func makeGuestFiles(dir string, definition []byte) error {
	return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(dir+"/"+fileDefinition, definition, 0o600), os.WriteFile(dir+"/"+fileConfig, nil, 0o600))
}
