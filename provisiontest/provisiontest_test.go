package provisiontest

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// fileConfig is the Config of the in-memory backend on a file, so that other
// processes can use it; wrap may break it.
func fileConfig(missing map[provision.Feature]string, wrap func(*Backend) provision.Backend) Config {
	open := func(machine string) *Backend {
		return NewBackend(&BackendOptions{
			File: machine, Missing: missing, Deaf: func(name string) bool { return strings.Contains(name, "deaf") },
		})
	}
	spec := func(_ testing.TB, _, name string) provision.Spec {
		return provision.Spec{Name: name, Image: "base", NICs: []provision.NIC{{Bridge: "br0"}}}
	}
	if _, no := missing[provision.FeatureNICs]; no {
		spec = func(_ testing.TB, _, name string) provision.Spec { return provision.Spec{Name: name, Image: "base"} }
	}
	c := Config{
		Machine: func(tb testing.TB) string {
			file := filepath.Join(tb.TempDir(), "machine.json")
			require.NoError(tb, open(file).AddImage("base"))
			return file
		},
		New: func(_ testing.TB, machine string) provision.Backend {
			if wrap != nil {
				return wrap(open(machine))
			}
			return open(machine)
		},
		Spec: spec,
		Deaf: spec,
		Leftovers: func(tb testing.TB, machine string) []string {
			list, err := open(machine).Objects()
			require.NoError(tb, err)
			return list
		},
		Foreign: func(tb testing.TB, machine, name string) func() {
			require.NoError(tb, open(machine).AddForeign(name))
			return func() { require.NoError(tb, open(machine).RemoveOutside(name)) }
		},
		StartOutside: func(tb testing.TB, machine, name string) error { return open(machine).ForceStart(name) },
		Forget: func(tb testing.TB, machine, name string) {
			require.NoError(tb, open(machine).Forget(name))
		},
		Image: func(testing.TB, string) ([]byte, string) {
			return bytes.Repeat([]byte("image of 1 MiB. "), 1<<16), "raw"
		},
		Copied: func(tb testing.TB, machine, name, image string) provision.Spec {
			s := spec(tb, machine, name)
			s.Image, s.Native = image, &Native{Settings: map[string]string{"rootDisk": "copy"}}
			return s
		},
		Grace: 300 * time.Millisecond,
	}
	if _, no := missing[provision.FeatureImages]; no {
		c.Image = nil
	}
	return c
}

func TestRun(t *testing.T) {
	Run(t, fileConfig(nil, nil))
}

// TestRunMissing takes away every ability that guests can do without.
func TestRunMissing(t *testing.T) {
	missing := map[provision.Feature]string{}
	for _, f := range provision.Features() {
		if f != provision.FeatureImage {
			missing[f] = "taken away for a test"
		}
	}
	Run(t, fileConfig(missing, nil))
}
