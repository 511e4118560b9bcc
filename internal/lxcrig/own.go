//go:build linux

package lxcrig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownVar tells a test program that it is in namespaces of its own.
const ownVar = "PROVISION_LXCRIG"

// Alone in the environment of a test program says that it has a machine for itself
// and needs no namespaces.
const Alone = ownVar + "=2"

// Main runs the tests of a package in a network namespace and a mount namespace of
// its own: bridges, rules and mounts of one test program are then not in the way of
// another's, and none is left when it ends. Call it from TestMain.
func Main(m *testing.M) {
	switch os.Getenv(ownVar) {
	case "":
		os.Exit(again())
	case "1":
		if err := mountSys(); err != nil {
			fmt.Fprintln(os.Stderr, "lxcrig: /sys of the network namespace:", err)
			os.Exit(1)
		}
		_ = os.Setenv(ownVar, "2") // processes that tests start have it already
	}
	os.Exit(m.Run())
}

// mountSys mounts the /sys that shows the devices of this network namespace, with
// the control groups below it.
func mountSys() error {
	keep, err := os.MkdirTemp("", "lxcrig-")
	if err != nil {
		return err
	}
	const groups = "/sys/fs/cgroup"
	err = unix.Mount(groups, keep, "", unix.MS_BIND|unix.MS_REC, "")
	if err == nil {
		err = unix.Mount("sysfs", "/sys", "sysfs", 0, "")
	}
	if err == nil {
		err = unix.Mount(keep, groups, "", unix.MS_MOVE, "")
	}
	return errors.Join(err, os.Remove(keep))
}

// again runs this program once more, in the namespaces.
func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), ownVar+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "lxcrig:", err)
	return 1
}
