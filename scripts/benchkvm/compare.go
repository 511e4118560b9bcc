//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
)

// live is the whole life of a guest by the backend.
func (b *bench) live(ctx context.Context, name string) error {
	g, err := b.host.Create(ctx, kvmrig.HaltSpec(name), nil)
	if err != nil {
		return err
	}
	if err := g.Start(ctx, nil); err != nil {
		return err
	}
	if _, err := g.Stop(ctx, &provision.StopOptions{Force: true}); err != nil {
		return err
	}
	return g.Delete(ctx, nil)
}

func (b *bench) command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, args, err, out)
	}
	return nil
}

func (b *bench) virsh(ctx context.Context, args ...string) error {
	return b.command(ctx, "virsh", append([]string{"-q", "-c", b.rig.URI}, args...)...)
}

// liveVirsh is the life of a guest by one virsh process for each step; its
// volumes are made as the others', but for the seed's content.
func (b *bench) liveVirsh(ctx context.Context, name string) error {
	id := uuid.NewString()
	file := filepath.Join(b.dir, name+".xml")
	if err := os.WriteFile(file, []byte(b.raw.document(name, id)), 0o600); err != nil {
		return err
	}
	for _, step := range [][]string{
		{"define", "--validate", file},
		{"vol-create-as", "default", id + ".root.qcow2", "1M", "--format", "qcow2", "--backing-vol", b.raw.image, "--backing-vol-format", "raw"},
		{"vol-create-as", "default", id + ".seed.img", fmt.Sprintf("%dB", len(b.raw.seed))},
		{"vol-create-as", "default", id + ".console.log", "0"},
		{"start", name},
		{"destroy", name},
		{"undefine", name},
		{"vol-delete", id + ".root.qcow2", "default"},
		{"vol-delete", id + ".seed.img", "default"},
		{"vol-delete", id + ".console.log", "default"},
	} {
		if err := b.virsh(ctx, step...); err != nil {
			return err
		}
	}
	return os.Remove(file)
}

// liveVirtInstall makes a plain guest on an overlay of the same image.
func (b *bench) liveVirtInstall(ctx context.Context, name string) error {
	if err := b.command(ctx, "virt-install", "--connect", b.rig.URI, "--name", name, "--memory", "32", "--vcpus", "1", "--import",
		"--osinfo", "detect=off,require=off", "--virt-type", "qemu", "--machine", "q35", "--noautoconsole", "--graphics", "none", "--network", "none",
		"--disk", "pool=default,size=0.001,format=qcow2,bus=virtio,backing_store="+b.raw.image+",backing_format=raw"); err != nil {
		return err
	}
	if err := b.virsh(ctx, "destroy", name); err != nil {
		return err
	}
	return b.virsh(ctx, "undefine", name, "--remove-all-storage")
}

func (b *bench) lives(ctx context.Context) error {
	return b.compare(ctx, "one guest: create, start, kill, delete", []contender{
		{"raw go-libvirt", func(_ context.Context, round int) error { return b.raw.live(fmt.Sprintf("raw%d", round)) }},
		{"provision", func(ctx context.Context, round int) error { return b.live(ctx, fmt.Sprintf("ours%d", round)) }},
		{"virsh, ten processes", func(ctx context.Context, round int) error { return b.liveVirsh(ctx, fmt.Sprintf("virsh%d", round)) }},
		{"virt-install, virsh destroy and undefine", func(ctx context.Context, round int) error {
			return b.liveVirtInstall(ctx, fmt.Sprintf("inst%d", round))
		}},
	})
}

// fourAtATime lives n lives on four goroutines.
func fourAtATime(n int, live func(i int) error) error {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := range next {
				errs[w] = errors.Join(errs[w], live(i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (b *bench) parallel(ctx context.Context) error {
	const lives = 24
	few := *b
	few.rounds = max(3, b.rounds/3)
	return few.compare(ctx, "24 guests, four at a time: create, start, kill, delete", []contender{
		{"raw go-libvirt, one connection", func(context.Context, int) error {
			return fourAtATime(lives, func(i int) error { return b.raw.live(fmt.Sprintf("raw%d", i)) })
		}},
		{"provision", func(ctx context.Context, _ int) error {
			return fourAtATime(lives, func(i int) error { return b.live(ctx, fmt.Sprintf("ours%d", i)) })
		}},
		{"virsh, ten processes for each", func(ctx context.Context, _ int) error {
			return fourAtATime(lives, func(i int) error { return b.liveVirsh(ctx, fmt.Sprintf("virsh%d", i)) })
		}},
	})
}

// lists compares lists of n guests, which are off but for one.
func (b *bench) lists(ctx context.Context, n int) error {
	for i := range n - 1 {
		if _, err := b.raw.l.DomainDefineXML(b.raw.document(fmt.Sprintf("many%d", i), uuid.NewString())); err != nil {
			return err
		}
	}
	g, err := b.host.Create(ctx, kvmrig.HaltSpec("running"), nil)
	if err != nil {
		return err
	}
	if err := g.Start(ctx, nil); err != nil {
		return err
	}
	counters := libvirt.DomainStatsState | libvirt.DomainStatsCPUTotal | libvirt.DomainStatsBalloon | libvirt.DomainStatsBlock | libvirt.DomainStatsInterface
	return b.compare(ctx, fmt.Sprintf("list of %d guests", n), []contender{
		{"virsh list --all", func(ctx context.Context, _ int) error { return b.virsh(ctx, "list", "--all") }},
		{"raw go-libvirt, states", func(context.Context, int) error { return b.raw.list(libvirt.DomainStatsState) }},
		{"provision, states and records", func(ctx context.Context, _ int) error { return b.list(ctx, n, nil) }},
		{"raw go-libvirt, with counters", func(context.Context, int) error { return b.raw.list(counters) }},
		{"provision, with counters", func(ctx context.Context, _ int) error { return b.list(ctx, n, &provision.ListOptions{Usage: true}) }},
	})
}

func (b *bench) list(ctx context.Context, want int, opts *provision.ListOptions) error {
	n := 0
	for _, err := range b.host.Guests(ctx, opts) {
		if err != nil {
			return err
		}
		n++
	}
	if n != want {
		return fmt.Errorf("a list of %d guests has %d", want, n)
	}
	return nil
}
