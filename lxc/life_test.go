//go:build linux

package lxc

import (
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestGone(t *testing.T) {
	for _, errno := range []error{unix.ENOENT, unix.ENOTDIR, unix.ESRCH, unix.ENODEV} {
		require.True(t, gone(&fs.PathError{Op: "read", Path: "/proc/1/stat", Err: errno}), "%v", errno)
	}
	for _, errno := range []error{unix.EIO, unix.EACCES, os.ErrProcessDone} {
		require.False(t, gone(&fs.PathError{Op: "read", Path: "/proc/1/stat", Err: errno}), "%v", errno)
	}
	require.False(t, gone(nil))
}
