//go:build linux

package testrig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Scripts below the root of the module that build Debian: a disk, and a root file
// system for containers.
const (
	debianScript     = "scripts/debian-image.sh"
	debianRootScript = "scripts/debian-root.sh"
)

// CachedDebian returns the path of an image of Debian with cloud-init and the guest
// agent, in dir, where scripts/debian-image.sh builds it if that has not been done
// with this version of the script: in a minute or two, from Debian's mirror. It can be
// called anywhere in the module's tree. Do not write to the file.
func CachedDebian(ctx context.Context, dir string) (string, error) {
	path, err := cachedDebian(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("cached image of Debian: %w", err)
	}
	return path, nil
}

// CachedDebianRoot returns the path of a tarball with the root file system of a Debian
// for containers, in dir, where scripts/debian-root.sh builds it as [CachedDebian] does.
func CachedDebianRoot(ctx context.Context, dir string) (string, error) {
	path, err := cachedScript(ctx, dir, debianRootScript, "debian-root-%s.tar", debianRootTools)
	if err != nil {
		return "", fmt.Errorf("cached root of Debian: %w", err)
	}
	return path, nil
}

func cachedDebian(ctx context.Context, dir string) (string, error) {
	return cachedScript(ctx, dir, debianScript, "debian-%s.qcow2", debianTools)
}

// cachedScript returns the path of what a script builds, under a name that has the
// digest of the script in it.
func cachedScript(ctx context.Context, dir, script, name string, tools []tool) (string, error) {
	script, err := findUp(script)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(script)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	name = fmt.Sprintf(name, hex.EncodeToString(sum[:])[:16])
	return cached(dir, name, filepath.Base(script)+".lock", func(path string) error {
		if err := check(tools, true); err != nil {
			return err
		}
		_, err := run(ctx, "bash", script, path)
		return err
	})
}

// findUp finds a file below the working directory or one above it.
func findUp(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return path, err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no %s here or above", name)
		}
		dir = up
	}
}
