package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/mountinfo"
)

// maxStack bounds the levels of overlays and devices below a path.
const maxStack = 32

// Volumes returns the block devices on which a limit holds what a group writes to a
// path, sorted: whole disks, loop devices, device mapper and RAID devices just
// below the file system, all devices of btrfs, and for overlay those of its upper
// directory. A file system without any is a [NoDiskError].
//
// The disks under a loop device are not among them: in version 1 what it transfers
// belongs to no group, and a limit there does nothing.
func Volumes(path string) ([]Device, error) {
	return (&finder{sys: "/sys", locate: locate}).all(path)
}

func (f *finder) all(path string) ([]Device, error) {
	if err := f.path(path, 0); err != nil {
		return nil, fmt.Errorf("disks of %s: %w", path, err)
	}
	slices.SortFunc(f.found, compareDevices)
	return slices.Compact(f.found), nil
}

// place is where a path is.
type place struct {
	device Device
	mount  mountinfo.Mount
	node   Device // what it is itself if it is a block device
}

// finder collects disks.
type finder struct {
	sys    string
	locate func(path string) (place, error)
	found  []Device
}

// path goes from a path down.
func (f *finder) path(path string, level int) error {
	at, err := f.locate(path)
	if err != nil {
		return err
	}
	if at.device.Major != 0 {
		return f.device(at.device, level+1)
	}
	reason, known := diskless[at.mount.Type]
	switch {
	case known:
	case at.mount.Type == "overlay":
		if upper, ok := at.mount.Option("upperdir"); ok && filepath.IsAbs(upper) && level < maxStack {
			return f.path(upper, level+1)
		}
		reason = "it is read-only, or its upper directory cannot be told"
	case at.mount.Type == "btrfs":
		return f.btrfs(at.mount.Source, level)
	default:
		reason = "it has no block device of its own"
	}
	return &NoDiskError{path, at.mount.Type, reason}
}

// btrfs takes all devices of the file system that one is part of.
func (f *finder) btrfs(source string, level int) error {
	at, err := f.locate(source)
	if err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(f.block(at.node))
	if err != nil {
		return err
	}
	pattern := filepath.Join(f.sys, "fs/btrfs/*/devices")
	all, err := filepath.Glob(filepath.Join(pattern, filepath.Base(dir)))
	if err != nil || len(all) == 0 {
		return errors.Join(fmt.Errorf("no btrfs file system with %s in %s", source, pattern), err)
	}
	names, err := os.ReadDir(filepath.Dir(all[0]))
	for _, n := range names {
		if err == nil {
			err = f.named(filepath.Join(filepath.Dir(all[0]), n.Name()), level+1)
		}
	}
	return err
}

func (f *finder) block(d Device) string { return filepath.Join(f.sys, "dev/block", d.String()) }

// named goes on with the device that a directory of /sys is of.
func (f *finder) named(dir string, level int) error {
	text, err := os.ReadFile(filepath.Join(dir, "dev"))
	if err != nil {
		return err
	}
	d, err := parseDevice(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return f.device(d, level)
}

// device takes a block device, or the whole one that it is a partition of.
func (f *finder) device(d Device, level int) error {
	if level > maxStack {
		return fmt.Errorf("device %s: more than %d devices below each other", d, maxStack)
	}
	dir, err := filepath.EvalSymlinks(f.block(d))
	if err != nil {
		return err
	}
	if exists(filepath.Join(dir, "partition")) {
		return f.named(filepath.Dir(dir), level+1)
	}
	f.found = append(f.found, d)
	return nil
}

// locate finds the device of a path and, by the descriptor's entry in /proc, its
// mount. For file systems with devices of no driver, major 0, that is all there is.
func locate(path string) (place, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return place{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return place{}, &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	at := place{device: number(uint64(st.Dev))}
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		at.node = number(uint64(st.Rdev))
	}
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return at, err
	}
	table, err := os.ReadFile("/proc/thread-self/mountinfo") // where path was opened
	if err != nil {
		return at, err
	}
	mounts, err := mountinfo.Parse(table)
	if err != nil {
		return at, err
	}
	for _, m := range mounts {
		if strings.Contains(string(info), fmt.Sprintf("mnt_id:\t%d\n", m.ID)) {
			at.mount = m
		}
	}
	return at, nil
}

func number(dev uint64) Device { return Device{unix.Major(dev), unix.Minor(dev)} }
