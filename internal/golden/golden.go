// Package golden compares what tests render with files that are checked in. It
// is for tests only.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the files under testdata")

// Updating reports whether the files are to be rewritten, for tests that keep
// theirs elsewhere.
func Updating() bool { return *update }

// Check compares text with the file of that name under testdata.
func Check(tb testing.TB, name, have string) {
	tb.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(tb, os.WriteFile(path, []byte(have), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(tb, err, "run go test -update")
	require.Empty(tb, cmp.Diff(string(want), have), "%s differs; after a wanted change run go test -update", path)
}
