//go:build linux

package roots

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Where the tools of e2fsprogs are. The PATH of the program may have been set by
// somebody else.
const toolPath = "/usr/sbin:/usr/bin:/sbin:/bin"

// run runs a tool with nothing of our environment. An error has what it said.
func run(ctx context.Context, name string, args ...string) error {
	path := ""
	for _, dir := range filepath.SplitList(toolPath) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			path = filepath.Join(dir, name)
			break
		}
	}
	if path == "" {
		return fmt.Errorf("%s is not in %s; install e2fsprogs: %w", name, toolPath, exec.ErrNotFound)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + toolPath, "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", name, ctxerr.Of(ctx))
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %.500s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
