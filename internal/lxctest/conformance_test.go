//go:build linux

package lxctest_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
	"github.com/guestforge/provision/provisiontest"
)

// TestConformance runs the suite on containers.
func TestConformance(t *testing.T) {
	var content []byte // the same at each import
	provisiontest.Run(t, provisiontest.Config{
		Machine: func(tb testing.TB) string { return lxcrig.Machine(tb) },
		New:     func(_ testing.TB, path string) provision.Backend { return lxcrig.New(path) },
		Spec:    func(_ testing.TB, _, name string) provision.Spec { return lxcrig.Spec(name) },
		Deaf: func(_ testing.TB, _, name string) provision.Spec {
			s := lxcrig.Spec(name)
			s.Native = &lxc.Native{Init: "/sbin/init deaf"}
			return s
		},
		Copied: func(_ testing.TB, _, name, image string) provision.Spec {
			s := lxcrig.Spec(name)
			s.Image, s.Native = image, &lxc.Native{Root: lxc.RootCopy}
			return s
		},
		Image: func(tb testing.TB, _ string) ([]byte, string) {
			if content == nil {
				content = lxcrig.Tiny(tb)
			}
			return content, "tar"
		},
		Leftovers:    func(tb testing.TB, path string) []string { return lxcrig.Leftovers(tb, path) },
		Foreign:      func(tb testing.TB, path, name string) func() { return lxcrig.Foreign(tb, path, name) },
		StartOutside: func(tb testing.TB, path, name string) error { return lxcrig.StartOutside(tb, path, name) },
		// What an administrator's "rm -rf" removes before it comes to the mount.
		Forget: func(tb testing.TB, path, name string) {
			for _, file := range []string{"config", "guest.json", "record"} {
				require.NoError(tb, os.Remove(filepath.Join(path, name, file)))
			}
		},
		Grace:   4 * time.Second,
		Timeout: time.Minute,
	})
}
