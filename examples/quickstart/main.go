// Quickstart takes a KVM guest, and a container, through the same life, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"regexp"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/kvm"
	"github.com/guestforge/provision/lxc"
)

func main() {
	var vm kvm.Options
	flag.StringVar(&vm.URI, "uri", "qemu:///system", "of libvirtd")
	flag.StringVar(&vm.Pool, "pool", "default", "storage pool of type dir")
	flag.TextVar(&vm.Emulation, "emulate", kvm.EmulateNever, "without KVM: never, ifMust or always")
	var container lxc.Options
	flag.StringVar(&container.LXCPath, "lxcpath", "/var/lib/lxc", "where containers are")
	disk := flag.String("image", "", "disk in qcow2 of a system that writes BOOTED-OK to its console, for a virtual machine")
	root := flag.String("root", "", "tarball of the root file system of such a system, for a container")
	bridge := flag.String("bridge", "br0", "for the guest's NIC")
	lockDir := flag.String("lockdir", "", "for lock files (default /run/provision)")
	flag.Parse()
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	spec := provision.Spec{Name: "quickstart", Image: "quickstart", Memory: provision.Memory{Size: 128 * provision.MiB}, NICs: []provision.NIC{{
		Bridge: *bridge, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}}}}
	for _, try := range []struct {
		backend      provision.Backend
		file, format string
	}{{kvm.New(&vm), *disk, "qcow2"}, {lxc.New(&container), *root, "tar"}} {
		if try.file == "" {
			continue
		}
		host, err := provision.Open(ctx, try.backend, &provision.Options{LockDir: *lockDir})
		if err == nil {
			log.Printf("%s, %s", host.Info().Kind, host.Info().Version)
			err = errors.Join(run(ctx, host, spec, try.file, try.format), host.Close())
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	stop()
}

// run knows nothing of the hypervisor.
func run(ctx context.Context, host *provision.Host, spec provision.Spec, path, format string) (err error) {
	undo, force := context.WithoutCancel(ctx), &provision.DeleteOptions{Force: true} // after an error or interrupt too
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = host.ImportImage(ctx, spec.Image, file, &provision.ImportOptions{Format: format})
	if done("import image", err) != nil {
		return err
	}
	defer func() { err = errors.Join(err, done("remove image", host.RemoveImage(undo, spec.Image))) }()
	plan, err := host.Plan(ctx, spec)
	if done("plan", err) != nil {
		return err
	}
	log.Print(plan)
	guest, err := host.Create(ctx, spec, &provision.CreateOptions{Progress: func(p provision.Progress) { log.Print("  ", p.Step) }})
	if done("create", err) != nil {
		return err
	}
	defer func() { err = errors.Join(err, done("delete", guest.Delete(undo, force))) }()
	if err = done("start", guest.Start(ctx, nil)); err != nil {
		return err
	}
	status, err := guest.Wait(ctx, provision.UntilConsole("BOOTED-OK", 0))
	if done("boot", err) != nil {
		return err
	}
	console, err := guest.ConsoleLog(ctx, 0)
	log.Printf("%s with %s: %q", status.State, status.Memory, regexp.MustCompile(`FACT [ -~]+`).FindAll(console, -1))
	for _, l := range status.Limits {
		log.Printf("  %s: %s, %s", l.Path, l.Have, l.Enforcement)
	}
	result, stopErr := guest.Stop(ctx, nil)
	return errors.Join(err, done("stop: "+string(result), stopErr))
}

// done logs a step, with the time, unless it failed.
func done(step string, err error) error {
	if err == nil {
		log.Print("done: ", step)
	}
	return err
}
