//go:build linux

package lxc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/rootfs"
	"github.com/guestforge/provision/internal/roots"
	"github.com/guestforge/provision/internal/unpack"
)

// An image is a directory with a tree, which no guest may change and only the host's
// root may enter, and a file about it, which comes last: without it the image was not
// imported to the end.
const (
	dirTree  = "tree"
	fileMeta = "image.json"
)

// meta is what is kept of an image.
type meta struct {
	Format   string    `json:"format"`
	SHA256   string    `json:"sha256"`
	Size     int64     `json:"size"` // of what was imported
	Imported time.Time `json:"imported"`
	Bytes    int64     `json:"bytes"` // of the tree, on disk
	Entries  int       `json:"entries"`
	// Halt is the signal that its init system shuts down at, where liblxc does not
	// find out by itself.
	Halt string `json:"halt,omitempty"`
	// OwnNetwork: see rootfs.OwnNetwork.
	OwnNetwork bool `json:"ownNetwork,omitempty"`
}

const maxMeta = 64 << 10

// formats of images that can be imported.
var formats = []unpack.Format{unpack.Tar, unpack.TarGzip, unpack.TarXz, unpack.TarZstd}

func (b *Backend) tree(image string) string { return filepath.Join(b.at.images(), image, dirTree) }

// image reads what is kept of an image that is whole.
func (b *Backend) image(name string) (*meta, error) {
	path := filepath.Join(b.at.images(), name, fileMeta)
	data, err := readFile(path, maxMeta)
	if missing(err) {
		return nil, &provision.FieldError{Path: "image", Value: name, Problem: "is no image of this host; import it first"}
	}
	if err != nil {
		return nil, err
	}
	m := new(meta)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func (m *meta) image(name string) provision.Image {
	return provision.Image{Name: name, Format: m.Format, SHA256: m.SHA256, Size: m.Size, Imported: m.Imported}
}

// Images implements [provision.Imager].
func (b *Backend) Images(ctx context.Context) ([]provision.Image, error) {
	entries, err := os.ReadDir(b.at.images())
	if err != nil {
		return nil, err
	}
	var list []provision.Image
	for _, e := range entries {
		m, err := b.image(e.Name())
		if errors.Is(err, provision.ErrInvalid) {
			continue // not whole
		}
		if err != nil {
			return nil, err
		}
		list = append(list, m.image(e.Name()))
	}
	return list, nil
}

// ImportImage implements [provision.Imager].
func (b *Backend) ImportImage(ctx context.Context, img *provision.NewImage, r io.Reader, s *provision.Steps) (provision.Image, error) {
	format := unpack.Format(img.Format)
	if !slices.Contains(formats, format) {
		return provision.Image{}, &provision.FieldError{Path: "format", Value: img.Format, Problem: "is none of tar, tar.gz, tar.xz and tar.zst"}
	}
	dir := filepath.Join(b.at.images(), img.Name)
	if err := s.Do(ctx, "make room", func(ctx context.Context) error {
		if err := roots.RemoveTree(ctx, dir); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		return roots.MakeTree(filepath.Join(dir, dirTree))
	}); err != nil {
		return provision.Image{}, err
	}
	var report unpack.Report
	if err := s.Do(ctx, "unpack", func(ctx context.Context) (err error) {
		report, err = unpack.Archive(ctx, filepath.Join(dir, dirTree), r, format, unpack.Options{Devices: unpack.DevicesSkip})
		if err == nil && report.HighestID >= idBlock {
			err = fmt.Errorf("%w: a file of it belongs to the id %d, and a guest has the ids below %d", provision.ErrInvalid, report.HighestID, idBlock)
		}
		return invalidArchive(err)
	}); err != nil {
		return provision.Image{}, err
	}
	m := &meta{Format: img.Format, SHA256: img.Sum(), Size: img.Size, Imported: img.Imported, Bytes: report.DiskBytes, Entries: report.Entries}
	err := s.Do(ctx, "commit", func(ctx context.Context) (err error) {
		if m.Halt, err = haltSignal(filepath.Join(dir, dirTree)); err != nil {
			return err
		}
		if m.OwnNetwork, err = ownNetwork(filepath.Join(dir, dirTree)); err != nil {
			return err
		}
		data, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if err := roots.SyncFS(dir); err != nil { // else a host that loses power may have the file and not the tree
			return err
		}
		return writeFile(filepath.Join(dir, fileMeta), data, 0o600)
	})
	return m.image(img.Name), err
}

// invalidArchive tells what is wrong with an archive from other errors.
func invalidArchive(err error) error {
	for _, bad := range []error{unpack.ErrFormat, unpack.ErrDamaged, unpack.ErrName, unpack.ErrLink, unpack.ErrOccupied, unpack.ErrDevice,
		unpack.ErrEntry, unpack.ErrLayer, unpack.ErrLimit, unpack.ErrNotRoot} {
		if errors.Is(err, bad) {
			return fmt.Errorf("%w: %w", provision.ErrInvalid, err)
		}
	}
	return err
}

// haltSignal is the signal at which the init system of a tree shuts down: that of
// BusyBox takes another one than those that liblxc knows (init.c there).
func haltSignal(tree string) (string, error) {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return "", err
	}
	defer root.Close()
	target, err := root.Readlink("sbin/init") // what liblxc runs
	if err == nil && path.Base(target) == "busybox" {
		return "SIGUSR2", nil
	}
	return "", nil
}

func ownNetwork(tree string) (bool, error) {
	t, err := rootfs.Open(tree, 0, 0)
	if err != nil {
		return false, err
	}
	return t.OwnNetwork(), t.Close()
}

// RemoveImage implements [provision.Imager]. The file about it goes first.
func (b *Backend) RemoveImage(ctx context.Context, name string) error {
	dir := filepath.Join(b.at.images(), name)
	if err := os.Remove(filepath.Join(dir, fileMeta)); err != nil && !missing(err) {
		return err
	}
	return roots.RemoveTree(ctx, dir)
}

// NeedsImage implements [provision.ImageReleaser].
func (b *Backend) NeedsImage(ctx context.Context, id provision.ID, image string) (bool, error) {
	d, err := b.find(ctx, id)
	if errors.Is(err, provision.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	return d.Root == RootOverlay && d.Spec.Image == image, nil
}
