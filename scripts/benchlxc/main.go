//go:build linux && cgo

// Benchlxc compares the lxc backend with LXC's own programs and with bare calls of
// go-lxc. What is compared takes turns within one run, so that other load on the
// machine meets all of them alike; the figures are medians, and only their ratios mean
// something elsewhere. It runs in network and mount namespaces of its own:
// scripts/bench-lxc.sh makes them.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/lxc"
)

func main() {
	rounds := flag.Int("rounds", 9, "`N` measurements of each")
	guests := flag.Int("guests", 200, "`N` guests to list")
	only := flag.String("only", "debian,starts,launches,lists", "what to measure")
	start := flag.String("start", "", "only start the container at this `PATH`, by go-lxc")
	flag.Parse()
	if *start != "" {
		if err := startRaw(*start); err != nil {
			fmt.Fprintln(os.Stderr, "benchlxc:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := run(ctx, *rounds, *guests, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "benchlxc:", err)
		os.Exit(1)
	}
}

const bridge = "br-bench"

// bench is the machine that all of it runs on.
type bench struct {
	host   *provision.Host
	path   string // the backend's LXCPath
	raw    string // that of the others
	rounds int
}

func run(ctx context.Context, rounds, guests int, only []string) (err error) {
	dir, err := os.MkdirTemp("/tmp", "bench") // short, for names of sockets
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeTree(dir)) }()
	b := &bench{path: filepath.Join(dir, "ours"), raw: filepath.Join(dir, "raw"), rounds: rounds}
	if err := errors.Join(os.Chmod(dir, 0o711), os.Mkdir(b.path, 0o711), os.Mkdir(b.raw, 0o711), ownSys(dir)); err != nil {
		return err
	}
	for _, args := range [][]string{{"link", "add", bridge, "type", "bridge"}, {"link", "set", bridge, "up"}, {"link", "set", "lo", "up"}} {
		if err := command(ctx, "ip", args...); err != nil {
			return err
		}
	}
	b.host, err = provision.Open(ctx, lxc.New(&lxc.Options{LXCPath: b.path, IDDir: filepath.Join(dir, "ids")}), &provision.Options{LockDir: filepath.Join(dir, "lock")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.host.Close()) }()
	if err := b.images(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clear(context.WithoutCancel(ctx))) }()
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"debian", b.debian}, {"starts", b.starts}, {"launches", b.launches},
		{"lists", func(ctx context.Context) error { return b.lists(ctx, guests) }}} {
		if slices.Contains(only, part.name) {
			err = errors.Join(err, part.run(ctx))
		}
	}
	return err
}

// ownSys shows the network devices of this namespace in /sys, with the control groups
// below it.
func ownSys(dir string) error {
	keep := filepath.Join(dir, "keep")
	const groups = "/sys/fs/cgroup"
	if err := errors.Join(os.Mkdir(keep, 0o700), unix.Mount(groups, keep, "", unix.MS_BIND|unix.MS_REC, "")); err != nil {
		return err
	}
	return errors.Join(unix.Mount("sysfs", "/sys", "sysfs", 0, ""), unix.Mount(keep, groups, "", unix.MS_MOVE, ""), os.Remove(keep))
}

// removeTree removes what nothing is mounted in any more, and the control groups.
func removeTree(dir string) error {
	groups, err := filepath.Glob("/sys/fs/cgroup/*/" + lxc.GroupsOf(filepath.Join(dir, "ours")))
	for _, g := range groups {
		err = errors.Join(err, os.Remove(g))
	}
	return errors.Join(err, os.RemoveAll(dir), os.RemoveAll("/run/lxc/lock"+dir))
}

// images imports the Debian, whose tree the others use too, and a tiny one.
func (b *bench) images(ctx context.Context) error {
	archive, err := testrig.CachedDebianRoot(ctx, cmp.Or(os.Getenv("TESTRIG_CACHE"), os.TempDir()))
	if err != nil {
		return err
	}
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	begin := time.Now()
	if _, err := b.host.ImportImage(ctx, "debian", f, &provision.ImportOptions{Format: "tar"}); err != nil {
		return err
	}
	fmt.Printf("import of the image of Debian: %.1f ms\n", ms(time.Since(begin)))
	tiny := filepath.Join(filepath.Dir(b.path), "tiny")
	if err := command(ctx, "sh", "-c", tinyScript, "sh", tiny); err != nil {
		return err
	}
	tree, size, err := lxc.Directory(tiny)
	if err != nil {
		return err
	}
	defer tree.Close()
	_, err = b.host.ImportImage(ctx, "tiny", tree, &provision.ImportOptions{Format: "tar", Size: size})
	return err
}

// tinyScript makes a root file system of BusyBox.
const tinyScript = `set -e
mkdir -p "$1" && cd "$1" && mkdir bin sbin etc proc sys dev tmp root
cp /bin/busybox bin/ && for a in sh sleep cat echo; do ln -s busybox bin/$a; done
printf '#!/bin/sh\ntrap "exit 0" PWR\nwhile :; do sleep 1000 & wait $!; done\n' >sbin/init && chmod 755 sbin/init
echo root:x:0:0:root:/root:/bin/sh >etc/passwd`

// clear removes all guests, ours and the others'.
func (b *bench) clear(ctx context.Context) error {
	var errs []error
	for g, err := range b.host.Guests(ctx, nil) {
		if err != nil {
			return err
		}
		errs = append(errs, b.remove(ctx, g.Name))
	}
	names, err := filepath.Glob(b.raw + "/*/config")
	for _, n := range names {
		errs = append(errs, b.destroyRaw(filepath.Base(filepath.Dir(n))))
	}
	for _, name := range []string{"debian", "tiny"} {
		errs = append(errs, b.host.RemoveImage(ctx, name))
	}
	return errors.Join(append(errs, err)...)
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, args, err, out)
	}
	return nil
}

// contender is one of the ways to do the same; undo is not measured.
type contender struct {
	name     string
	do, undo func(ctx context.Context, round int) error
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
			if took := time.Since(begin); round > 0 {
				times[c] = append(times[c], took)
			}
			if list[c].undo != nil {
				if err := list[c].undo(ctx, round); err != nil {
					return fmt.Errorf("%s: undo of %s: %w", title, list[c].name, err)
				}
			}
		}
	}
	fmt.Printf("\n%s (%d rounds)\n", title, b.rounds)
	base := median(times[0])
	for i, c := range list {
		m := median(times[i])
		fmt.Printf("  %-48s %10.1f ms   x %.2f   (%.1f to %.1f)\n", c.name, ms(m), float64(m)/float64(base), ms(slices.Min(times[i])), ms(slices.Max(times[i])))
	}
	return nil
}

func median(list []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
