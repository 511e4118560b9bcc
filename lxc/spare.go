//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
)

// A tenant whose root has no size of its own can fill the file system, what ext4 keeps
// for root included, as an overlay writes with the rights of who has mounted it. That
// must not keep the guest from being suspended or deleted, so there are files with
// blocks of their own, which become what has to be written then.
const (
	spares    = 16       // a suspension takes up to five
	spareSize = 32 << 10 // more than most records have
)

func (l layout) spares() string     { return filepath.Join(l.own(), "spare") }
func (l layout) spare(i int) string { return filepath.Join(l.spares(), strconv.Itoa(i)) }

// full says that a file system has no room, or no inodes.
func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// noRoom makes an error of the kind that says so.
func noRoom(err error) error {
	if full(err) {
		return fmt.Errorf("%w: %w", provision.ErrCapacity, err)
	}
	return err
}

// keep is writeFile for what has to be written even where there is no room.
func (b *Backend) keep(path string, data []byte, mode fs.FileMode) error {
	err := writeFile(path, data, mode)
	if !full(err) || len(data) > spareSize {
		return err
	}
	fresh := filepath.Join(filepath.Dir(path), ".new-"+filepath.Base(path))
	if !b.takeSpare(fresh) {
		return err
	}
	if err := overwrite(fresh, data, mode); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return syncDir(filepath.Dir(path))
}

// takeSpare gives a spare file another name.
func (b *Backend) takeSpare(to string) bool {
	for i := range spares {
		if os.Rename(b.at.spare(i), to) == nil {
			return true
		}
	}
	return false
}

// overwrite gives a spare file its content.
func overwrite(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Truncate(int64(len(data))), f.Chmod(mode), f.Sync(), f.Close())
}

// stock makes the spare files that are not there. A full file system is no reason not
// to go on.
func (b *Backend) stock(ctx context.Context) error {
	for i := range spares {
		if _, err := os.Lstat(b.at.spare(i)); err == nil {
			continue
		}
		switch err := b.makeSpare(b.at.spare(i)); {
		case full(err):
			b.opts.Logger.WarnContext(ctx, "the file system of the guests is full", "path", b.opts.LXCPath)
			return nil
		case err != nil && !errors.Is(err, fs.ErrExist): // made by another process
			return err
		}
	}
	return nil
}

func (b *Backend) makeSpare(path string) error {
	f, err := os.CreateTemp(b.at.own(), "spare-")
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, spareSize)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.Write(make([]byte, spareSize))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = renameNew(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
