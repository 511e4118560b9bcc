package rootfs

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// mount tells mounts apart. Kernels before 5.8 do not say the mount, and there
// the device has to do: a bind mount of the same file system is not seen then.
type mount struct{ id, dev uint64 }

// mountOf is the mount of a directory. On btrfs a subvolume has a device of its
// own and belongs to the mount all the same.
func mountOf(dir *os.Root) (mount, error) {
	f, err := dir.Open(".")
	if err != nil {
		return mount{}, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return mount{}, cause(err)
	}
	return mountOfFile(f, info)
}

func mountOfFile(f *os.File, info fs.FileInfo) (mount, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return mount{}, err
	}
	var st unix.Statx_t
	var serr error
	err = conn.Control(func(fd uintptr) {
		serr = unix.Statx(int(fd), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st)
	})
	if err != nil {
		return mount{}, err
	}
	if serr == nil && st.Mask&unix.STATX_MNT_ID != 0 {
		return mount{id: st.Mnt_id}, nil
	}
	return mount{dev: info.Sys().(*syscall.Stat_t).Dev}, nil
}

// covers reports whether a file is on the mount. By its device it cannot be said:
// files of an overlay may have that of a layer.
func (m mount) covers(file mount) bool { return m.id == 0 || m == file }

type owner struct {
	uid, gid int
	links    uint64
}

func ownerOf(info fs.FileInfo) owner {
	st := info.Sys().(*syscall.Stat_t)
	return owner{int(st.Uid), int(st.Gid), uint64(st.Nlink)}
}
