//go:build linux

package roots

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// What errors of this package are, beside those of package os (os.ErrExist,
// os.ErrNotExist) and errors.ErrUnsupported.
var (
	// ErrInvalid: the Root or the argument cannot be right.
	ErrInvalid = errors.New("invalid")
	// ErrBusy: something still uses what is mounted, or it is mounted where it
	// must not be.
	ErrBusy = errors.New("busy")
	// ErrForeign: something that is not this root is mounted at its place.
	ErrForeign = errors.New("not ours")
)

// Kind says how a root is stored.
type Kind string

// The kinds.
const (
	// Overlay shares the tree of the image and keeps only what differs. The
	// tree must never change while a root uses it. No limits.
	Overlay Kind = "overlay"
	// ImageFile is a sparse file with an ext4 of fixed size and number of inodes.
	ImageFile Kind = "image"
	// Copy is a full copy; where the file system can, it shares blocks. No limits.
	Copy Kind = "copy"
	// Subvolume is a btrfs subvolume: a snapshot of the image's tree where that
	// is a subvolume too, or else a copy. No limits.
	Subvolume Kind = "subvolume"
)

// Range is how many ids the block of an unprivileged guest has (the host's ids
// Base to Base+Range-1 are 0 to Range-1 in the guest).
const Range = 65536

// Root is the root file system of one guest. It is plain data; its methods can
// be called from a new process too.
type Root struct {
	Dir    string // the guest's directory, absolute; it exists and is the host root's
	Kind   Kind
	Base   uint32 // the host's id of the guest's root; 0: a privileged guest
	Image  string // the image's tree, absolute, with ids as in the guest (root is 0)
	Size   int64  // bytes (ImageFile), rounded up to 4096
	Inodes uint64 // 0: as mkfs.ext4 chooses (ImageFile)
}

// Path is where the root is when it is mounted.
func (r Root) Path() string { return r.at("rootfs") }

func (r Root) at(name string) string { return filepath.Join(r.Dir, name) }

// Store is what holds the guest's own data.
func (r Root) Store() string {
	switch r.Kind {
	case Overlay:
		return r.at("upper")
	case ImageFile:
		return r.at("root.img")
	}
	return r.at("tree")
}

// names are all that a root can have in the guest's directory, made or half made.
func names() []string {
	return []string{
		"lower", "upper.new", "upper", "work", "root.img.new", "root.img", "tree.new", "tree", "snapshots", "rootfs",
	}
}

// Paths go into options of mounts, where "," and ":" mean something, and into a
// script.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)

func (r Root) check() error {
	switch r.Kind {
	case Overlay, ImageFile, Copy, Subvolume:
	default:
		return fmt.Errorf("root: Kind %q is %w", r.Kind, ErrInvalid)
	}
	paths := []struct{ field, path string }{{"Dir", r.Dir}, {"Image", r.Image}}
	for _, p := range paths {
		if !plainPath.MatchString(p.path) || filepath.Clean(p.path) != p.path {
			return fmt.Errorf("root: %s %q is %w: want a clean absolute path of letters, digits and ._-", p.field, p.path, ErrInvalid)
		}
	}
	limited := r.Size != 0 || r.Inodes != 0
	switch {
	case r.Base > 0 && r.Base < Range, r.Base > 1<<32-1-Range:
		return fmt.Errorf("root: Base %d is %w: want 0, or %d and more with %d ids after it", r.Base, ErrInvalid, Range, Range)
	case limited && r.Kind != ImageFile:
		return fmt.Errorf("root: kind %s has no limits of size and inodes: %w", r.Kind, errors.ErrUnsupported)
	case r.Kind == ImageFile && (r.Size < MinSize || r.Size > MaxSize):
		return fmt.Errorf("root: Size %d is %w: want %d to %d", r.Size, ErrInvalid, int64(MinSize), int64(MaxSize))
	}
	return nil
}

// exists tells whether something has this name, also a dangling link.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
