//go:build !linux

package lxc

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/guestforge/provision"
)

// Backend is for Linux. Here it answers [provision.ErrUnavailable], so that programs
// for several systems can be built.
type Backend struct{}

// New returns a backend that [provision.Open] refuses.
func New(*Options) *Backend { return &Backend{} }

func elsewhere() error {
	return fmt.Errorf("%w: containers are a feature of Linux, and this program runs on %s", provision.ErrUnavailable, runtime.GOOS)
}

// Probe implements [provision.Backend].
func (b *Backend) Probe(context.Context) (provision.Info, error) {
	return provision.Info{}, elsewhere()
}

// Create implements [provision.Backend].
func (b *Backend) Create(context.Context, *provision.NewGuest, *provision.Steps) error {
	return elsewhere()
}

// Start implements [provision.Backend].
func (b *Backend) Start(context.Context, provision.ID) error { return elsewhere() }

// Stop implements [provision.Backend].
func (b *Backend) Stop(context.Context, provision.ID, provision.StopMode) error { return elsewhere() }

// Delete implements [provision.Backend].
func (b *Backend) Delete(context.Context, provision.ID, *provision.Steps) error { return elsewhere() }

// Inspect implements [provision.Backend].
func (b *Backend) Inspect(context.Context, provision.Ref) (provision.Found, error) {
	return provision.Found{}, elsewhere()
}

// List implements [provision.Backend].
func (b *Backend) List(context.Context) ([]provision.Found, error) { return nil, elsewhere() }

// SetRecord implements [provision.Backend].
func (b *Backend) SetRecord(context.Context, provision.ID, provision.Record) error {
	return elsewhere()
}

// Close implements [provision.Backend].
func (b *Backend) Close() error { return nil }

// Directory fails here: see it on Linux.
func Directory(string) (tree io.ReadCloser, size int64, err error) { return nil, 0, elsewhere() }

var _ provision.Backend = (*Backend)(nil)
