//go:build linux

package roots

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// How often another process may take the free loop device from us.
const loopTries = 200

// attach returns a loop device over an image file, open. The device lets go of
// the file by itself when it is closed and not mounted (any more).
//
// A device that has the file already is used again: somebody may have it mounted
// in another mount namespace, and a second device over one file system would
// destroy it.
func attach(image string) (*os.File, error) {
	file, err := os.OpenFile(image, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if dev, err := findLoop(file); dev != nil || err != nil {
		return dev, err
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range loopTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("a free loop device: %w", err)
		}
		dev, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(dev.Fd()), loopConfig(file))
		if err == nil {
			return dev, nil
		}
		dev.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, &os.PathError{Op: "attach to " + dev.Name(), Path: image, Err: err}
		}
	}
	return nil, fmt.Errorf("%s: others took each of %d loop devices: %w", image, loopTries, ErrBusy)
}

// Direct I/O keeps the guest's pages from being cached twice; the kernel falls
// back by itself where the file system cannot.
func loopConfig(file *os.File) *unix.LoopConfig {
	c := &unix.LoopConfig{Fd: uint32(file.Fd())}
	c.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
	copy(c.Info.File_name[:len(c.Info.File_name)-1], file.Name())
	return c
}

// attachedTo returns the path of the loop device that has the file, or "".
func attachedTo(image string) (string, error) {
	file, err := os.OpenFile(image, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	dev, err := findLoop(file)
	if dev == nil || err != nil {
		return "", err
	}
	defer dev.Close()
	return dev.Name(), nil
}

// findLoop opens the loop device that has the file, if one has.
func findLoop(file *os.File) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, err
	}
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	for _, b := range backing {
		// The name is only a first choice: the file may have been renamed since.
		text, err := os.ReadFile(b)
		if err != nil || !bytes.Contains(text, []byte("/root.img")) {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(b, "/sys/block/"), "/")
		dev, err := os.OpenFile("/dev/"+name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		info, err := unix.IoctlLoopGetStatus64(int(dev.Fd()))
		if err == nil && info.Device == st.Dev && info.Inode == st.Ino {
			return dev, nil
		}
		dev.Close() // one that was just given back, or of somebody else
	}
	return nil, nil
}
