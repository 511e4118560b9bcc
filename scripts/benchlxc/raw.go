//go:build linux && cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	golxc "github.com/lxc/go-lxc"
)

// rawConfig is a guest of BusyBox by hand: privileged, on a directory.
const rawConfig = `lxc.uts.name = %[1]s
lxc.rootfs.path = dir:%[2]s/%[1]s/rootfs
lxc.autodev = 1
lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed
lxc.net.0.type = veth
lxc.net.0.link = ` + bridge + `
lxc.net.0.flags = up
`

// makeRaw makes a directory with a configuration and a tree, which is copied.
func (b *bench) makeRaw(ctx context.Context, name string) error {
	dir := filepath.Join(b.raw, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	tiny := filepath.Join(filepath.Dir(b.path), "tiny")
	return errors.Join(os.WriteFile(filepath.Join(dir, "config"), fmt.Appendf(nil, rawConfig, name, b.raw), 0o600),
		command(ctx, "cp", "-a", tiny, filepath.Join(dir, "rootfs")))
}

// with runs one call on a handle of its own.
func (b *bench) with(name string, f func(c *golxc.Container) error) error {
	return with(filepath.Join(b.raw, name), f)
}

func with(path string, f func(c *golxc.Container) error) error {
	c, err := golxc.NewContainer(filepath.Base(path), filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Release())
}

// startRaw starts a container in a child: liblxc moves the process that starts one into
// the control group of the monitor.
func (b *bench) startRaw(ctx context.Context, name string) error {
	return command(ctx, "/proc/self/exe", "-start", filepath.Join(b.raw, name))
}

func startRaw(path string) error {
	return with(path, func(c *golxc.Container) error {
		c.WantDaemonize(true)
		if err := c.Start(); err != nil {
			return err
		}
		if !c.Wait(golxc.RUNNING, 10*time.Second) {
			return fmt.Errorf("%s does not run", path)
		}
		return nil
	})
}

func (b *bench) stopRaw(name string) error {
	return b.with(name, func(c *golxc.Container) error {
		if !c.Running() {
			return nil
		}
		return c.Stop()
	})
}

func (b *bench) destroyRaw(name string) error {
	return errors.Join(b.stopRaw(name), os.RemoveAll(filepath.Join(b.raw, name)))
}

// listRaw asks for state, addresses and memory of all, one after the other.
func (b *bench) listRaw() error {
	for _, name := range golxc.ContainerNames(b.raw) {
		if err := b.with(name, func(c *golxc.Container) error {
			if c.State() != golxc.RUNNING {
				return fmt.Errorf("%s is %s", name, c.State())
			}
			_, _ = c.IPAddresses() // an error where there is none
			_, err := c.MemoryUsage()
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
