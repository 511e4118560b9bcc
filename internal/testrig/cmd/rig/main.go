//go:build linux

// Rig starts a private libvirtd, or builds the guest image, for scripts.
//
//	rig up -dir DIR [-cache DIR]
//	rig image -o PATH
//	rig debian -cache DIR
//	rig packages
//
// "up" prints shell assignments and waits until its standard input is closed
// or a signal ends it; then everything it started is gone. "debian" builds the disk and
// the root file system of Debian that the tests find in DIR, their TESTRIG_CACHE. "packages" prints the
// Debian packages that the others need.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/guestforge/provision/internal/testrig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	const usage = "usage: rig up -dir DIR [-cache DIR] | rig image -o PATH | rig debian -cache DIR | rig packages"
	if len(args) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	switch args[0] {
	case "up":
		dir := flags.String("dir", "", "an empty or new directory")
		cache := flags.String("cache", "", "directory of the capability cache, kept between runs")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return up(ctx, &testrig.LibvirtOptions{Dir: *dir, Cache: *cache}, stdin, stdout)
	case "image":
		path := flags.String("o", "", "where to write the image")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if *path == "" {
			return errors.New(usage)
		}
		return testrig.BuildImage(ctx, *path)
	case "debian":
		dir := flags.String("cache", "", "directory that keeps the image")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if *dir == "" {
			return errors.New(usage)
		}
		for _, cached := range []func(context.Context, string) (string, error){testrig.CachedDebianRoot, testrig.CachedDebian} {
			path, err := cached(ctx, *dir)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(stdout, path); err != nil {
				return err
			}
		}
		return nil
	case "packages":
		_, err := fmt.Fprintln(stdout, strings.Join(testrig.Packages, "\n"))
		return err
	}
	return errors.New(usage)
}

func up(ctx context.Context, opts *testrig.LibvirtOptions, stdin io.Reader, stdout io.Writer) (err error) {
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	l, err := testrig.StartLibvirt(starting, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	// The directory has no quote: StartLibvirt refuses it.
	_, err = fmt.Fprintf(stdout, "SOCKET='%s'\nURI='%s'\nPOOL=default\nPOOL_DIR='%s'\nBRIDGE=%s\nPID=%d\n",
		l.Socket, l.URI, l.PoolDir, l.Bridge, l.PID)
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // until it is closed, one way or another
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
	return nil
}
