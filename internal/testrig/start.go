//go:build linux

package testrig

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Start starts a private libvirtd for a test, which must be able to, and stops it
// when the test ends. It returns also the directory in which what is worth keeping
// between tests is kept: TESTRIG_CACHE or, without it, one of this test.
func Start(tb testing.TB) (l *Libvirt, cache string) {
	tb.Helper()
	return StartWith(tb, &LibvirtOptions{})
}

// StartWith is Start with options, of which Dir and Cache are chosen here.
func StartWith(tb testing.TB, opts *LibvirtOptions) (l *Libvirt, cache string) {
	tb.Helper()
	Need(tb)
	// The paths of sockets are short, those of tb.TempDir are not.
	dir, err := os.MkdirTemp("", "rig")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if cache = os.Getenv("TESTRIG_CACHE"); cache == "" {
		cache = tb.TempDir()
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	defer cancel()
	o := *opts
	o.Dir, o.Cache = dir, filepath.Join(cache, "libvirt")
	l, err = StartLibvirt(ctx, &o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return l, cache
}
