//go:build linux

package testrig_test

import (
	"context"
	"os"
	"testing"

	"github.com/guestforge/provision/internal/testrig"
	"github.com/stretchr/testify/require"
)

func TestCachedImage(t *testing.T) {
	testrig.Need(t)
	dir := t.TempDir()
	type result struct {
		path string
		err  error
	}
	results := make(chan result)
	for range 3 {
		go func() {
			path, err := testrig.CachedImage(context.Background(), dir)
			results <- result{path, err}
		}()
	}
	first := <-results
	require.NoError(t, first.err)
	info, err := os.Stat(first.path)
	require.NoError(t, err)
	for range 2 {
		require.Equal(t, first, <-results)
	}
	again, err := os.Stat(first.path)
	require.NoError(t, err)
	require.True(t, os.SameFile(info, again))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the image and the lock")
}
