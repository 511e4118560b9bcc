package lxc_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/lxc"
)

// A container is made from a directory by the same calls as a virtual machine.
func Example() {
	ctx := context.Background()
	run := func() error {
		host, err := provision.Open(ctx, lxc.New(&lxc.Options{LXCPath: "/srv/containers"}), nil)
		if err != nil {
			return err
		}
		defer host.Close()
		tree, size, err := lxc.Directory("/srv/debian-12")
		if err != nil {
			return err
		}
		defer tree.Close()
		if _, err := host.ImportImage(ctx, "debian-12", tree, &provision.ImportOptions{Format: "tar", Size: size}); err != nil {
			return err
		}
		guest, err := host.Create(ctx, provision.Spec{
			Name: "web1", Image: "debian-12", Memory: provision.Memory{Size: 256 * provision.MiB},
			NICs: []provision.NIC{{Bridge: "br0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}}},
		}, nil)
		if err != nil {
			return err
		}
		return guest.Start(ctx, nil)
	}
	fmt.Println(run() != nil) // without such a machine
	// Output: true
}

// Settings that no other backend has.
func ExampleNative() {
	spec := provision.Spec{Name: "builder", Image: "debian-12",
		Native: &lxc.Native{Root: lxc.RootCopy, Nesting: true, Devices: []lxc.Device{lxc.DeviceFUSE}}}
	fmt.Println(spec.Validate())
	spec.Native = &lxc.Native{HaltSignal: "SIGKILL"}
	fmt.Println(spec.Validate())
	// Output:
	// <nil>
	// native.haltSignal: "SIGKILL" is no signal that asks a program to end; write it as "SIGPWR" or "SIGRTMIN+3"
}
