package kvm

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guestforge/provision"
)

// The zero value of Options is what the documentation says.
func TestNew(t *testing.T) {
	for _, b := range []*Backend{New(nil), New(&Options{})} {
		require.Equal(t, "qemu:///system", b.opts.URI)
		require.Equal(t, "default", b.opts.Pool)
		require.Equal(t, 30*time.Second, b.opts.Timeout)
		require.Equal(t, EmulateNever, b.opts.Emulation)
		require.NotNil(t, b.opts.Logger)
		require.NoError(t, b.Close(), "a Backend that never connected")
	}
	opts := &Options{Pool: "other"}
	b := New(opts)
	opts.Pool = "changed"
	require.Equal(t, "other", b.opts.Pool)
}

func TestVersion(t *testing.T) {
	for v, want := range map[uint64]string{9_000_000: "9.0.0", 12_002_003: "12.2.3", 0: "0.0.0", 8_002_000: "8.2.0", 7_002_022: "7.2.22"} {
		require.Equal(t, want, version(v))
	}
}

// deaf is a daemon that takes connections and says nothing.
func deaf(t *testing.T, b *Options) *Backend {
	t.Helper()
	dir, err := os.MkdirTemp("", "deaf") // t.TempDir may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	b.URI = "qemu:///system?socket=" + filepath.Join(dir, "sock")
	return New(b)
}

func nothing(*libvirt.Libvirt) error { return nil }

// A daemon that does not answer is given up, in time, and nothing is left of it.
func TestDeafDaemon(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := deaf(t, &Options{Timeout: 50 * time.Millisecond})
	_, err := b.Probe(t.Context())
	require.ErrorIs(t, err, provision.ErrUnavailable)
	require.ErrorContains(t, err, "50ms")
	require.NotErrorIs(t, err, context.DeadlineExceeded, "the deadline was ours, not the caller's")
	require.Empty(t, b.conns.idle)
	for _, used := range b.conns.slots.free {
		require.Empty(t, used, "a slot is kept")
	}
	require.Empty(t, b.conns.slots.per)
	require.NoError(t, b.Close())
}

// The caller's own end of patience is the caller's error.
func TestDeafDaemonAndImpatientCaller(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := deaf(t, &Options{})
	require.NoError(t, b.conns.setTarget(b.opts))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.read(ctx, nothing), context.DeadlineExceeded)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.read(ctx, nothing), context.Canceled)
	require.ErrorIs(t, b.write(ctx, nothing), context.Canceled)
	require.NoError(t, b.Close())
}

// Close ends what is under way, also what waits for a connection of its own.
func TestCloseEndsCalls(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := deaf(t, &Options{})
	require.NoError(t, b.conns.setTarget(b.opts))
	done := make(chan error)
	queries := b.conns.slots.free[roleQuery]
	for range 2 * cap(queries) {
		go func() { done <- b.read(t.Context(), nothing) }()
		go func() { done <- b.write(t.Context(), nothing) }()
	}
	require.Eventually(t, func() bool { return len(queries) == cap(queries) }, 5*time.Second, time.Millisecond)
	require.NoError(t, b.Close())
	for range 4 * cap(queries) {
		require.ErrorIs(t, <-done, fs.ErrClosed)
	}
	require.ErrorIs(t, b.read(t.Context(), nothing), fs.ErrClosed, "a Backend that is closed")
	require.NoError(t, b.Close(), "twice")
}
