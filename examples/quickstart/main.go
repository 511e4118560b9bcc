// Quickstart takes one KVM guest through its life and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"regexp"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/kvm"
)

func main() {
	var options kvm.Options
	flag.StringVar(&options.URI, "uri", "qemu:///system", "of libvirtd")
	flag.StringVar(&options.Pool, "pool", "default", "storage pool of type dir")
	flag.TextVar(&options.Emulation, "emulate", kvm.EmulateNever, "without KVM: never, ifMust or always")
	bridge := flag.String("bridge", "br0", "for the guest's NIC")
	image := flag.String("image", "guest.qcow2", "of a system that writes BOOTED-OK to its console")
	lockDir := flag.String("lockdir", "", "for lock files (default /run/provision)")
	flag.Parse()
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	host, err := provision.Open(ctx, kvm.New(&options), &provision.Options{LockDir: *lockDir})
	if err == nil {
		err = errors.Join(run(ctx, host, *image, *bridge), host.Close())
	}
	if stop(); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, host *provision.Host, path, bridge string) (err error) {
	spec := provision.Spec{Name: "quickstart", Image: "quickstart", NICs: []provision.NIC{{Bridge: bridge}}}
	undo, force := context.WithoutCancel(ctx), &provision.DeleteOptions{Force: true} // after an error or interrupt too
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = host.ImportImage(ctx, spec.Image, file, &provision.ImportOptions{Format: "qcow2"})
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
