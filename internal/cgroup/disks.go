package cgroup

import "fmt"

// NoDiskError says that a file system has no disk of this host whose transfers could
// be limited.
type NoDiskError struct {
	Path   string
	Type   string // of the file system: "tmpfs"
	Reason string
}

// Error implements error.
func (e *NoDiskError) Error() string {
	return fmt.Sprintf("%s is on %s, which has no disk to limit: %s", e.Path, e.Type, e.Reason)
}

// diskless are types of file systems without a block device, and why.
var diskless = map[string]string{
	"tmpfs":    "it is in memory",
	"ramfs":    "it is in memory",
	"rootfs":   "it is in memory",
	"zfs":      "its pools send their transfers from threads of the kernel, which are in no group",
	"nfs":      "it is on another host",
	"nfs4":     "it is on another host",
	"cifs":     "it is on another host",
	"smb3":     "it is on another host",
	"ceph":     "it is on other hosts",
	"9p":       "it is on the host of this virtual machine",
	"virtiofs": "it is on the host of this virtual machine",
}
