//go:build linux

package roots

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// Snapshot is one of a root's.
type Snapshot struct {
	Name string
	Made time.Time
	Note string // of who took it
	Size int64  // bytes that it takes on the disk; 0: it shares them, and nobody knows
}

// fileAbout is, in the directory of a snapshot, what is known of it.
const fileAbout = "about"

// about is its JSON form.
type about struct {
	Note string `json:"note,omitempty"`
	Size int64  `json:"size,omitempty"`
}

// maxAbout bounds what is read: the note is of who calls.
const maxAbout = 64 << 10

// No dot at the beginning: that is what is not complete.
var snapshotName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// imageName is, in the directory of a snapshot, a link that says to which image's
// tree an overlay's snapshot belongs. It is only read.
const imageName = "image"

func (r Root) snapshotDir(name string) string { return filepath.Join(r.at("snapshots"), name) }

func (r Root) checkSnapshot(name string) error {
	if err := r.check(); err != nil {
		return err
	}
	if !snapshotName.MatchString(name) {
		return fmt.Errorf("snapshot name %q is %w: want a letter or digit, then up to 63 of letters, digits and ._-", name, ErrInvalid)
	}
	return nil
}

// Snapshot keeps the content of the root as it is now. The guest must be off, or
// frozen (cgroup) until it returns. A Subvolume takes no time, the others copy,
// sharing blocks where the file system can. Subvolumes that a tenant made in its
// own are not in it. It fails with os.ErrExist when the name is taken. The note of up
// to 32 KiB of UTF-8 is kept with it. Nothing limits how many there are, or what they
// take from the host's disk.
//
// An ImageFile that is mounted is frozen for the time of the copy; when the process
// is killed meanwhile it stays frozen until Mount or Unmount.
func (r Root) Snapshot(ctx context.Context, name, note string, progress Progress) (err error) {
	if err := r.checkSnapshot(name); err != nil {
		return err
	}
	if len(note) > maxAbout/2 {
		return fmt.Errorf("note of %d bytes is %w: at most %d", len(note), ErrInvalid, maxAbout/2)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("snapshot %s of %s: %w", name, r.Dir, err)
		}
	}()
	if there, err := exists(r.snapshotDir(name)); err != nil {
		return err
	} else if there {
		return os.ErrExist
	}
	if err := r.sweepSnapshots(ctx); err != nil {
		return err
	}
	fresh := r.snapshotDir("." + name)
	if err := os.MkdirAll(fresh, 0o700); err != nil {
		return err
	}
	err = r.keep(ctx, fresh, progress)
	if err == nil {
		err = r.describe(ctx, fresh, note)
	}
	if err != nil {
		return errors.Join(err, RemoveTree(context.WithoutCancel(ctx), fresh))
	}
	if err := os.Rename(fresh, r.snapshotDir(name)); err != nil {
		return err
	}
	return syncDir(r.at("snapshots"))
}

// sweepSnapshots removes what killed processes left half made or half removed.
func (r Root) sweepSnapshots(ctx context.Context) error {
	entries, err := os.ReadDir(r.at("snapshots"))
	if err != nil {
		return ignore(err, os.ErrNotExist)
	}
	for _, e := range entries {
		if snapshotName.MatchString(e.Name()) {
			continue
		}
		if err := RemoveTree(ctx, r.snapshotDir(e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// keep copies the store into the directory of a snapshot.
func (r Root) keep(ctx context.Context, dir string, progress Progress) error {
	if err := os.Symlink(r.Image, filepath.Join(dir, imageName)); err != nil {
		return err
	}
	to := filepath.Join(dir, filepath.Base(r.Store()))
	if r.Kind != ImageFile {
		if err := r.duplicate(ctx, r.Store(), to, progress); err != nil {
			return err
		}
		return SyncFS(dir)
	}
	// A frozen file system has all on the disk, its journal is empty.
	freed, err := r.freeze()
	if err != nil {
		return err
	}
	err = copyFile(ctx, r.Store(), to, progress)
	return errors.Join(err, freed())
}

// describe writes what is known of a snapshot into its directory.
func (r Root) describe(ctx context.Context, dir, note string) error {
	a := about{Note: note}
	store, err := Probe(r.Dir)
	if err != nil {
		return err
	}
	if !store.Reflink && r.Kind != Subvolume {
		if a.Size, err = sizeOf(ctx, dir, filepath.Base(r.Store())); err != nil {
			return err
		}
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, fileAbout), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// sizeOf counts as Usage does.
func sizeOf(ctx context.Context, dir, name string) (int64, error) {
	parent, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer parent.Close()
	w := counter{ctx: ctx, seen: map[fileID]bool{}}
	err = w.add(parent, name, 0)
	return w.usage.Bytes, err
}

// duplicate makes a second store, of the same kind.
func (r Root) duplicate(ctx context.Context, from, to string, progress Progress) error {
	switch r.Kind {
	case ImageFile:
		return copyFile(ctx, from, to, progress)
	case Subvolume:
		return cloneSubvolume(ctx, from, to, progress)
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	return CopyTree(ctx, from, to, progress)
}

// Restore makes the root what it was at a snapshot, which stays; an ImageFile has
// the size that it had then. The guest must be off and its root not mounted
// (ErrBusy). It is all or nothing, also when killed.
func (r Root) Restore(ctx context.Context, name string, progress Progress) (err error) {
	if err := r.checkSnapshot(name); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore snapshot %s of %s: %w", name, r.Dir, err)
		}
	}()
	if err := r.Unused(); err != nil {
		return err
	}
	image, err := os.Readlink(filepath.Join(r.snapshotDir(name), imageName))
	if err != nil {
		return err
	}
	if r.Kind == Overlay && image != r.Image {
		return fmt.Errorf("it belongs to the image at %s, the root has %s: %w", image, r.Image, ErrInvalid)
	}
	fresh := r.Store() + ".new"
	if err := RemoveTree(ctx, fresh); err != nil {
		return err
	}
	if err := r.duplicate(ctx, filepath.Join(r.snapshotDir(name), filepath.Base(r.Store())), fresh, progress); err != nil {
		return errors.Join(err, RemoveTree(context.WithoutCancel(ctx), fresh))
	}
	return r.replace(context.WithoutCancel(ctx), fresh)
}

// Unused fails with ErrBusy when the root is mounted here, or, as far as that can
// be seen, in another mount namespace.
func (r Root) Unused() error {
	m, err := mountAt(r.Path())
	if err != nil {
		return err
	}
	if m != nil {
		return fmt.Errorf("%s is mounted; unmount it: %w", r.Path(), ErrBusy)
	}
	if r.Kind != ImageFile {
		return nil
	}
	dev, err := attachedTo(r.Store())
	if err == nil && dev != "" {
		err = fmt.Errorf("%s has it, in another mount namespace; stop the guest: %w", dev, ErrBusy)
	}
	return err
}

// replace puts a complete store in place of the old one, which it removes.
func (r Root) replace(ctx context.Context, fresh string) error {
	if err := SyncFS(r.Dir); err != nil {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, r.Store(), unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchange", Old: fresh, New: r.Store(), Err: err}
	}
	if err := syncDir(r.Dir); err != nil {
		return err
	}
	return RemoveTree(ctx, fresh)
}

// DeleteSnapshot removes a snapshot; one that is not there is no error.
func (r Root) DeleteSnapshot(ctx context.Context, name string) error {
	if err := r.checkSnapshot(name); err != nil {
		return err
	}
	if err := r.sweepSnapshots(ctx); err != nil {
		return err
	}
	// Under the name of what is not complete, no half of it is ever restored.
	gone := r.snapshotDir("." + name)
	if err := ignore(os.Rename(r.snapshotDir(name), gone), os.ErrNotExist); err != nil {
		return err
	}
	return RemoveTree(ctx, gone)
}

// Snapshots lists the complete snapshots by name.
func (r Root) Snapshots() ([]Snapshot, error) {
	entries, err := os.ReadDir(r.at("snapshots"))
	if err != nil {
		return nil, ignore(err, os.ErrNotExist)
	}
	var list []Snapshot
	for _, e := range entries {
		if !snapshotName.MatchString(e.Name()) {
			continue
		}
		info, err := os.Lstat(filepath.Join(r.snapshotDir(e.Name()), imageName))
		if err != nil {
			return nil, err
		}
		a, err := readAbout(filepath.Join(r.snapshotDir(e.Name()), fileAbout))
		if err != nil {
			return nil, err
		}
		list = append(list, Snapshot{Name: e.Name(), Made: info.ModTime(), Note: a.Note, Size: a.Size})
	}
	return list, nil
}

func readAbout(path string) (a about, err error) {
	f, err := os.Open(path)
	if err != nil {
		return a, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAbout))
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}
