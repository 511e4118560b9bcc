package kvm

import "syscall"

// fileSystem returns the number of the file system that a pool's directory is on,
// or 0 where it cannot be told. libvirtd may see another one at that path than
// this process, in a container for example: only one of just the size that
// libvirtd has for the pool is taken for the same.
func fileSystem(dir string, capacity uint64) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil || capacity == 0 {
		return 0
	}
	if st.Blocks*uint64(st.Frsize) != capacity {
		return 0
	}
	return int64(st.Type) & 0xffffffff
}
