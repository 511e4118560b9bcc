//go:build linux

package testrig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// AddVolume copies a file, such as that of [CachedImage], into the pool
// "default" under the given name and makes libvirt notice it.
func (l *Libvirt) AddVolume(ctx context.Context, path, name string) error {
	err := copyFile(filepath.Join(l.PoolDir, name), path)
	if err == nil {
		_, err = l.Virsh(ctx, "pool-refresh", "default")
	}
	if err != nil {
		return fmt.Errorf("adding volume %s: %w", name, err)
	}
	return nil
}

func copyFile(to, from string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	_, err = io.Copy(dst, src)
	return err
}
