package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/kvm"
	"github.com/guestforge/provision/lxc"
	"github.com/guestforge/provision/provisiontest"
)

// checkBackend refuses flags that mean nothing to the backend, because they
// show that another one was meant.
func (c *command) checkBackend() error {
	if !slices.Contains([]string{"kvm", "lxc", "openvz", "sim"}, c.backend) {
		return fmt.Errorf("-backend %s is not known: kvm, lxc, openvz and sim are", c.backend)
	}
	for _, f := range []struct {
		name, backend string
		set           bool
	}{
		{"uri", "kvm", c.uri != ""},
		{"pool", "kvm", c.pool != ""},
		{"emulate", "kvm", c.emulate},
		{"lxcpath", "lxc", c.lxcPath != ""},
		{"state", "sim", c.state != ""},
	} {
		if f.set && f.backend != c.backend {
			return fmt.Errorf("-%s is for -backend %s", f.name, f.backend)
		}
	}
	if c.backend == "sim" && c.state == "" {
		return errors.New("-backend sim needs -state FILE, or all is forgotten at the end")
	}
	return nil
}

// open returns the backend. It does not connect to anything yet.
func (c *command) open() (provision.Backend, error) {
	switch c.backend {
	case "kvm":
		o := &kvm.Options{URI: c.uri, Pool: c.pool}
		if c.emulate {
			o.Emulation = kvm.EmulateAlways
		}
		return kvm.New(o), nil
	case "lxc":
		return lxc.New(&lxc.Options{LXCPath: c.lxcPath}), nil
	case "sim":
		return provisiontest.NewBackend(&provisiontest.BackendOptions{File: c.state}), nil
	}
	return nil, fmt.Errorf("backend %s is not built yet; kvm, lxc and sim are: %w", c.backend, errors.ErrUnsupported)
}

// readTree reads a directory as an image.
func (c *command) readTree(path string) (io.ReadCloser, *provision.ImportOptions, error) {
	if c.backend != "lxc" {
		return nil, nil, fmt.Errorf("%s is a directory, which only -backend lxc has images of", path)
	}
	tree, size, err := lxc.Directory(path)
	return tree, &provision.ImportOptions{Format: "tar", Size: size}, err
}
