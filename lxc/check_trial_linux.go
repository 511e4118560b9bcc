package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// inTrialDir calls f with a new directory, which has the directories lower, upper and
// work, and removes it.
func inTrialDir(dir string, f func(string) error) (err error) {
	tmp, err := os.MkdirTemp(dir, trialPrefix)
	if err != nil {
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	for _, name := range []string{"lower", "upper", "work"} {
		if err := os.Mkdir(tmp+"/"+name, 0o700); err != nil {
			return fmt.Errorf("%w: %w", errUntried, err)
		}
	}
	return f(tmp)
}

func (localProber) overlay(dir string) error {
	return inTrialDir(dir, mountOverlay)
}

// idmappedOverlay attaches the mapped directory, which the layers of an overlay have
// to be before Linux 6.15, where nobody sees it.
func (localProber) idmappedOverlay(ctx context.Context, dir string, r idRange) error {
	return inTrialDir(dir, func(tmp string) error {
		lower, err := idmapped(ctx, tmp+"/lower", r)
		if err != nil {
			return err
		}
		defer unix.Close(lower)
		return inMountNamespace(func() error {
			if err := unix.MoveMount(lower, "", unix.AT_FDCWD, tmp+"/lower", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
				return fmt.Errorf("%w: move_mount: %w", errUntried, err)
			}
			return mountOverlay(tmp)
		})
	})
}

// inMountNamespace calls f in a mount namespace of its own, that ends with the thread.
// The first thread does not end, and is what /proc/self shows: it is not for this.
func inMountNamespace(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and no unlock: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			done <- inMountNamespace(f) // on another thread, as this one is taken
			return
		}
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err != nil {
			done <- fmt.Errorf("%w: a mount namespace: %w", errUntried, err)
			return
		}
		done <- f()
	}()
	return <-done
}

func (localProber) idmap(ctx context.Context, dir string, r idRange) error {
	fd, err := idmapped(ctx, dir, r)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// mountOverlay makes an overlay that is attached nowhere, and goes with its descriptor
// (fsopen(2)).
func mountOverlay(tmp string) error {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%w: fsopen: %w", errUntried, err)
	}
	if err != nil {
		return failed("fsopen overlay", err)
	}
	defer unix.Close(fd)
	for _, o := range [][2]string{{"lowerdir", tmp + "/lower"}, {"upperdir", tmp + "/upper"}, {"workdir", tmp + "/work"}} {
		if err := unix.FsconfigSetString(fd, o[0], o[1]); err != nil {
			return failed("overlay "+o[0], err)
		}
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return failed("overlay", err)
	}
	m, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return failed("fsmount overlay", err)
	}
	return unix.Close(m)
}

// idmapped returns a copy of the mount of a directory, attached nowhere, in which root
// is the first ID of a range (mount_setattr(2)).
func idmapped(ctx context.Context, dir string, r idRange) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, failed("open_tree "+dir, err)
	}
	err = withUserNamespace(ctx, r, func(ns *os.File) error {
		attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
		return failed("mount_setattr", unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr))
	})
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// withUserNamespace calls f with a user namespace. A child holds it, which ends when
// its input does, so also if this process is killed.
func withUserNamespace(ctx context.Context, r idRange, f func(*os.File) error) error {
	cmd := exec.CommandContext(ctx, "/bin/cat")
	cmd.Env = []string{}
	m := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(r.first), Size: int(r.count)}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: m, GidMappings: m}
	input, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: a user namespace: %w", errUntried, err)
	}
	defer cmd.Wait() // it is killed, or has read to the end
	defer input.Close()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	if err != nil {
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	defer ns.Close()
	return f(ns)
}
