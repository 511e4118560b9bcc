//go:build linux && cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/guestforge/provision"
)

func spec(name, image string) provision.Spec {
	return provision.Spec{Name: name, Image: image, Memory: provision.Memory{Size: 256 * provision.MiB}, NICs: []provision.NIC{{Bridge: bridge}}}
}

// launch makes a guest and starts it.
func (b *bench) launch(ctx context.Context, name, image string) error {
	g, err := b.host.Create(ctx, spec(name, image), nil)
	if err != nil {
		return err
	}
	return g.Start(ctx, nil)
}

func (b *bench) remove(ctx context.Context, name string) error {
	g, err := b.host.Guest(ctx, name)
	if err != nil {
		return err
	}
	return g.Delete(ctx, &provision.DeleteOptions{Force: true})
}

// lxc runs one of LXC's programs on the others' directory.
func (b *bench) lxc(ctx context.Context, program string, args ...string) error {
	return command(ctx, program, append([]string{"-P", b.raw}, args...)...)
}

// launchLXC is the copy of the tree, then lxc-start.
func (b *bench) launchLXC(ctx context.Context, name string) error {
	if err := b.makeRaw(ctx, name); err != nil {
		return err
	}
	return b.lxc(ctx, "lxc-start", "-n", name)
}

// debian is from the image of about 270 MB to running. The others have a template that
// unpacks the same archive.
func (b *bench) debian(ctx context.Context) error {
	tree := filepath.Join(b.path, ".provision/images/debian/tree")
	few := *b
	few.rounds = max(3, b.rounds/3)
	if err := b.compare(ctx, "a Debian of 270 MB, from its image to running", []contender{
		{"provision, overlay", func(ctx context.Context, round int) error {
			return b.launch(ctx, fmt.Sprintf("deb%d", round), "debian")
		},
			func(ctx context.Context, round int) error { return b.remove(ctx, fmt.Sprintf("deb%d", round)) }},
	}); err != nil {
		return err
	}
	return few.compare(ctx, "the same, by a copy", []contender{
		{"lxc-create -t none, cp -a, lxc-start", func(ctx context.Context, round int) error {
			name := fmt.Sprintf("deb%d", round)
			root := filepath.Join(b.raw, name, "rootfs")
			if err := errors.Join(b.lxc(ctx, "lxc-create", "-n", name, "-t", "none"),
				command(ctx, "cp", "-a", tree, root),
				os.WriteFile(filepath.Join(b.raw, name, "config"), fmt.Appendf(nil, rawConfig, name, b.raw), 0o600)); err != nil {
				return err
			}
			return b.lxc(ctx, "lxc-start", "-n", name)
		}, func(_ context.Context, round int) error { return b.destroyRaw(fmt.Sprintf("deb%d", round)) }},
	})
}

func (b *bench) starts(ctx context.Context) error {
	g, err := b.host.Create(ctx, spec("start", "tiny"), nil)
	if err != nil {
		return err
	}
	if err := b.makeRaw(ctx, "start"); err != nil {
		return err
	}
	if err := b.compare(ctx, "start of a tiny guest", []contender{
		{"lxc-start", func(ctx context.Context, _ int) error { return b.lxc(ctx, "lxc-start", "-n", "start") },
			func(context.Context, int) error { return b.stopRaw("start") }},
		{"lxc-start of our guest, with its hook", func(ctx context.Context, _ int) error { return command(ctx, "lxc-start", "-P", b.path, "-n", "start") },
			func(ctx context.Context, _ int) error { return b.kill(ctx, g) }},
		{"go-lxc, in a child", func(ctx context.Context, _ int) error { return b.startRaw(ctx, "start") },
			func(context.Context, int) error { return b.stopRaw("start") }},
		{"provision, with rules, limits and reading back", func(ctx context.Context, _ int) error { return g.Start(ctx, nil) },
			func(ctx context.Context, _ int) error { return b.kill(ctx, g) }},
	}); err != nil {
		return err
	}
	return errors.Join(g.Delete(ctx, nil), b.destroyRaw("start"))
}

func (b *bench) kill(ctx context.Context, g *provision.Guest) error {
	_, err := g.Stop(ctx, &provision.StopOptions{Force: true})
	return err
}

// fourAtATime does n things on four goroutines.
func fourAtATime(n int, do func(i int) error) error {
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
				errs[w] = errors.Join(errs[w], do(i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (b *bench) launches(ctx context.Context) error {
	const n = 50
	name := func(i int) string { return fmt.Sprintf("launch%d", i) }
	few := *b
	few.rounds = max(3, b.rounds/3)
	return few.compare(ctx, "50 launches of a tiny guest, four at a time", []contender{
		{"cp -a, lxc-start", func(ctx context.Context, _ int) error {
			return fourAtATime(n, func(i int) error { return b.launchLXC(ctx, name(i)) })
		}, func(context.Context, int) error {
			return fourAtATime(n, func(i int) error { return b.destroyRaw(name(i)) })
		}},
		{"cp -a, go-lxc", func(ctx context.Context, _ int) error {
			return fourAtATime(n, func(i int) error { return errors.Join(b.makeRaw(ctx, name(i)), b.startRaw(ctx, name(i))) })
		}, func(context.Context, int) error {
			return fourAtATime(n, func(i int) error { return b.destroyRaw(name(i)) })
		}},
		{"provision", func(ctx context.Context, _ int) error {
			return fourAtATime(n, func(i int) error { return b.launch(ctx, name(i), "tiny") })
		}, func(ctx context.Context, _ int) error {
			return fourAtATime(n, func(i int) error { return b.remove(ctx, name(i)) })
		}},
	})
}

// lists compares lists of n guests that run, as many of ours as of the others.
func (b *bench) lists(ctx context.Context, n int) error {
	if err := fourAtATime(n, func(i int) error {
		name := fmt.Sprintf("many%d", i)
		return errors.Join(b.launch(ctx, name, "tiny"), b.launchLXC(ctx, name))
	}); err != nil {
		return err
	}
	contenders := []contender{
		{"lxc-ls -f", func(ctx context.Context, _ int) error { return b.lxc(ctx, "lxc-ls", "-f") }, nil},
		{"go-lxc, state, addresses and memory", func(context.Context, int) error { return b.listRaw() }, nil},
		{"provision, state, limits and records", func(ctx context.Context, _ int) error { return b.list(ctx, n, nil) }, nil},
	}
	if b.host.Supports(provision.FeatureUsage) == nil {
		contenders = append(contenders, contender{"provision, with counters too", func(ctx context.Context, _ int) error {
			return b.list(ctx, n, &provision.ListOptions{Usage: true})
		}, nil})
	}
	return b.compare(ctx, fmt.Sprintf("list of %d guests that run", n), contenders)
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
