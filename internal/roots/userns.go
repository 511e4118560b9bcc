//go:build linux

package roots

import (
	"fmt"
	"os"
	"syscall"
)

// userNamespace returns a user namespace in which 0 to Range-1 are the host's ids
// from base on. It lives as long as the descriptor, or a mount that uses it.
//
// A process with more than one thread cannot make one for itself
// (unshare(2)), so a child does: cat, which waits for its input and so ends by
// itself should we be killed here.
func userNamespace(base uint32) (_ *os.File, err error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	defer in.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(base), Size: Range}}
	child, err := os.StartProcess("/bin/cat", []string{"cat"}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: []*os.File{in, null, null},
		Sys:   &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids},
	})
	if err != nil {
		return nil, fmt.Errorf("a user namespace (see /proc/sys/user/max_user_namespaces): %w", err)
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", child.Pid))
	// What it says when killed is of no use, and it holds nothing.
	_ = child.Kill()
	_, _ = child.Wait()
	return f, err
}
