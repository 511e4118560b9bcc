package kvm_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/kvm"
)

// Where no libvirtd is running, that is what the error says: it is never
// mistaken for a host without guests.
func ExampleNew() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	backend := kvm.New(&kvm.Options{
		URI:       "qemu:///system?socket=/nonexistent/libvirt-sock",
		Pool:      "images",
		Emulation: kvm.EmulateIfMust,
	})
	_, err := provision.Open(ctx, backend, nil)
	fmt.Println("unavailable:", errors.Is(err, provision.ErrUnavailable))
	fmt.Println("no such guest:", errors.Is(err, provision.ErrNotFound))
	// Output:
	// unavailable: true
	// no such guest: false
}

// A guest that boots a kernel of the host, on a certain version of the machine.
func ExampleNative() {
	spec := provision.Spec{
		Name: "build-1",
		Native: &kvm.Native{
			Machine: "pc-q35-7.2",
			Kernel:  &kvm.Kernel{Image: "/boot/vmlinuz", Initrd: "../initrd.img", Cmdline: "console=ttyS0"},
		},
	}
	fmt.Println(spec.Validate())
	// Output:
	// native.kernel.initrd: "../initrd.img" is not a clean absolute path of a file
}
