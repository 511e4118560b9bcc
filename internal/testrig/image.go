//go:build linux

package testrig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// builderVersion changes the names of cached images; raise it with every
// change to the builder that the other inputs do not show.
const builderVersion = 3

// BuildImage makes a qcow2 disk at path that boots by itself with BIOS
// and, with 256 MiB, with UEFI. Its
// guest reports on the serial console what it found (see init.sh), answers
// ACPI, echoes lines and has the QEMU guest agent. The file appears whole or not at all.
func BuildImage(ctx context.Context, path string) error {
	if err := buildImage(ctx, path); err != nil {
		return fmt.Errorf("building guest image: %w", err)
	}
	return nil
}

func buildImage(ctx context.Context, path string) error {
	if err := check(imageTools, false); err != nil {
		return err
	}
	k, err := findKernel()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(path), ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	initrd, err := buildInitrd(ctx, k)
	if err != nil {
		return err
	}
	raw, done := filepath.Join(work, "disk.raw"), filepath.Join(work, "disk.qcow2")
	if err := buildDisk(ctx, raw, k.image, initrd); err != nil {
		return err
	}
	if _, err := run(ctx, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, done); err != nil {
		return err
	}
	return os.Rename(done, path)
}

// CachedImage returns the path of the image in dir, which it builds if no
// process has done so before. Do not write to it: use it as a backing file.
func CachedImage(ctx context.Context, dir string) (string, error) {
	path, err := cachedImage(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("cached guest image: %w", err)
	}
	return path, nil
}

func cachedImage(ctx context.Context, dir string) (string, error) {
	key, err := imageKey()
	if err != nil {
		return "", err
	}
	return cached(dir, "guest-"+key+".qcow2", "lock", func(path string) error { return buildImage(ctx, path) })
}

// cached returns the path of a file in dir, which build makes, whole or not at all,
// unless it is there. The lock keeps two processes from building it.
func cached(dir, name, lockName string, build func(path string) error) (path string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil // built while we waited
	}
	return path, build(path)
}

// imageKey identifies what goes into an image.
func imageKey() (string, error) {
	k, err := findKernel()
	if err != nil {
		return "", err
	}
	files := []string{k.image, mbrPath}
	for _, name := range []string{"busybox", "qemu-ga"} {
		if path, err := lookPath(name); err == nil {
			files = append(files, path)
		}
	}
	h := sha256.New()
	fmt.Fprintln(h, builderVersion, string(initScript), acpiScript, bootConfig, startupScript, strings.Join(modules, " "), rawSend())
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, file, info.Size(), info.ModTime().UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
