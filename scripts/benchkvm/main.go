//go:build linux

// Benchkvm compares the kvm backend with raw go-libvirt calls, virsh and
// virt-install on a private libvirtd. What is compared takes turns within one
// run, so that other load on the machine meets all of them alike; the figures are
// medians, and only their ratios mean something elsewhere.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

func main() {
	rounds := flag.Int("rounds", 9, "`N` measurements of each")
	guests := flag.Int("guests", 1000, "`N` guests to list")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *guests); err != nil {
		fmt.Fprintln(os.Stderr, "benchkvm:", err)
		os.Exit(1)
	}
}

// bench is the machine that all of it runs on.
type bench struct {
	rig    *testrig.Libvirt
	host   *provision.Host
	raw    *raw
	rounds int
	dir    string
}

func run(ctx context.Context, rounds, guests int) (err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rig, err := testrig.StartLibvirt(ctx, &testrig.LibvirtOptions{Dir: filepath.Join(dir, "rig")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Stop()) }()
	host, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways}),
		&provision.Options{LockDir: filepath.Join(dir, "lock")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	b := &bench{rig: rig, host: host, rounds: rounds, dir: dir}
	if _, err := host.ImportImage(ctx, "halt", bytes.NewReader(kvmrig.HaltImage()), &provision.ImportOptions{Format: "raw"}); err != nil {
		return err
	}
	if b.raw, err = newRaw(ctx, b); err != nil {
		return err
	}
	defer b.raw.close()
	if err := b.lives(ctx); err != nil {
		return err
	}
	if err := b.parallel(ctx); err != nil {
		return err
	}
	return b.lists(ctx, guests)
}

// contender is one of the ways to do the same.
type contender struct {
	name string
	do   func(ctx context.Context, round int) error
}

// compare measures the contenders in turns, after one round that does not count,
// and prints each median with its ratio to that of the first.
func (b *bench) compare(ctx context.Context, title string, list []contender) error {
	times := make([][]time.Duration, len(list))
	for round := range b.rounds + 1 {
		for i := range list {
			c := (i + round) % len(list) // none is always the first
			begin := time.Now()
			if err := list[c].do(ctx, round); err != nil {
				return fmt.Errorf("%s: %s: %w", title, list[c].name, err)
			}
			if round > 0 {
				times[c] = append(times[c], time.Since(begin))
			}
		}
	}
	fmt.Printf("\n%s (%d rounds)\n", title, b.rounds)
	base := median(times[0])
	for i, c := range list {
		m := median(times[i])
		fmt.Printf("  %-44s %10.1f ms   x %.2f   (%.1f to %.1f)\n", c.name, ms(m), float64(m)/float64(base), ms(slices.Min(times[i])), ms(slices.Max(times[i])))
	}
	return nil
}

func median(list []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
