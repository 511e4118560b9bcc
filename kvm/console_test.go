//go:build linux

package kvm_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/kvm"
)

// TestConsole is about libvirtd; what holds for every backend is in the suite.
func TestConsole(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("flood")
	s.UserData = []byte("#cloud-config\n# test:console-flood\n")
	g := bootedGuest(t, h, s)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	before := runtime.NumGoroutine()

	t.Run("nobody reads", func(t *testing.T) {
		c, err := g.Console(ctx, nil)
		require.NoError(t, err)
		defer c.Close()
		time.Sleep(2 * time.Second) // the guest writes some 100 KiB a second
		_, err = g.Status(ctx)
		require.NoError(t, err, "other calls are not held up")
		buf := make([]byte, 1000)
		n, err := io.ReadFull(c, buf)
		require.NoError(t, err)
		require.Contains(t, string(buf[:n]), "FLOOD 0123456789")
		require.NoError(t, c.Close())
	})
	t.Run("libvirtd dies", func(t *testing.T) {
		c, err := g.Console(ctx, nil)
		require.NoError(t, err)
		defer c.Close()
		end := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, c)
			end <- err
		}()
		require.NoError(t, rig.Restart(ctx))
		require.ErrorIs(t, <-end, provision.ErrUnavailable)
		_, err = c.Write([]byte("x"))
		require.ErrorIs(t, err, provision.ErrUnavailable)
	})
	t.Run("libvirtd hangs", func(t *testing.T) {
		c, err := g.Console(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, rig.Freeze())
		defer func() { require.NoError(t, rig.Thaw()) }()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = g.Console(short, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, c.Close(), "it needs no answer")
		_, err = c.Read(make([]byte, 1))
		require.NotErrorIs(t, err, io.EOF)
	})
	// Idle connections keep a goroutine each.
	const idle = 6
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+idle }, time.Minute, 50*time.Millisecond, "goroutines are left")
}

// TestConsoleTimeout: Options.Timeout bounds the opening.
func TestConsoleTimeout(t *testing.T) {
	rig := startRig(t)
	h, err := provision.Open(t.Context(), kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, Timeout: 3 * time.Second}),
		&provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	g := bootedGuest(t, h, tinySpec("late"))
	b := newBackend(rig.URI)
	_, err = b.Probe(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Close())
	_, err = b.OpenConsole(t.Context(), g.ID(), provision.ConsoleOptions{})
	require.ErrorContains(t, err, "closed")
	c, err := g.Console(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, h.Close(), "with a console open")
	_, err = c.Read(make([]byte, 1<<10))
	for err == nil {
		_, err = c.Read(make([]byte, 1<<10))
	}
	require.True(t, strings.Contains(err.Error(), "closed"), err)
	require.NoError(t, rig.Thaw())
}
