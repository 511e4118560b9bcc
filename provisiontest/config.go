package provisiontest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// Config tells [Run] how to come by a backend, and how to look at its machine
// by other means than the backend.
//
// The cases about killed and concurrent processes run the test binary again
// with only the calling test; there Run does one job and returns. So whatever
// the test needs besides belongs into Machine, which is called in the first
// process only. The other functions are called in all of them, and must do the
// same for the same arguments.
type Config struct {
	// Machine starts or finds the machine that all backends of this run share,
	// and returns an address of it that other processes can use: a socket, a
	// state file. Required.
	Machine func(tb testing.TB) string
	// New opens a backend on the machine. The caller closes it. Required.
	New func(tb testing.TB, machine string) provision.Backend
	// Spec returns the valid Spec of a guest that boots, with this name and
	// nothing but Name, Image, Memory, Disks, NICs and Native in it. The
	// features of NICs are tried only if it has one. Required.
	Spec func(tb testing.TB, machine, name string) provision.Spec
	// Image returns content and format of an image that can be imported. Nil
	// where images are unsupported.
	Image func(tb testing.TB, machine string) (content []byte, format string)
	// Bigger returns the Spec of the same guest with larger sizes and limits, for
	// Resize. Default: all that the Spec asks for, times one and a quarter to two.
	Bigger func(provision.Spec) provision.Spec
	// Copied returns the Spec of a guest whose disks are full copies of the image
	// that it names, so that it does without that. Default: nil, there is none.
	Copied func(tb testing.TB, machine, name, image string) provision.Spec
	// Leftovers lists everything on the machine that belongs to guests and
	// images: guests, volumes, files, processes. Each case must leave it as it
	// was. Required.
	Leftovers func(tb testing.TB, machine string) []string
	// Foreign makes a guest that is off by other means than the library, and
	// returns what removes it. Required.
	Foreign func(tb testing.TB, machine, name string) (remove func())
	// StartOutside starts a guest by other means than the library, and returns
	// the error of a hypervisor that refuses it. Default: nil, there are none.
	StartOutside func(tb testing.TB, machine, name string) error
	// Forget removes a guest's own object by other means than the library, and
	// leaves its volumes and what else was made for it. Required where orphans
	// are supported.
	Forget func(tb testing.TB, machine, name string)
	// Options for every Host; they must be the same in all processes. LockDir
	// may be left empty: one is made for the run. Default: none.
	Options func(tb testing.TB) *provision.Options
	// Deaf returns the Spec of a guest that ignores a shutdown request. Default:
	// nil, there is none.
	Deaf func(tb testing.TB, machine, name string) provision.Spec
	// Booted is what the guest writes to its console when it is able to hear a
	// shutdown request. Default: "BOOTED-OK".
	Booted string
	// Grace is how long a guest needs at most to shut down when asked, and how
	// long a deaf one is waited for. Default: 30 seconds.
	Grace time.Duration
	// Timeout of each case. Default: 1 minute.
	Timeout time.Duration
}

func (c *Config) setDefaults(tb testing.TB) {
	tb.Helper()
	require.NotNil(tb, c.Machine, "Config.Machine is required")
	require.NotNil(tb, c.New, "Config.New is required")
	require.NotNil(tb, c.Spec, "Config.Spec is required")
	require.NotNil(tb, c.Leftovers, "Config.Leftovers is required")
	require.NotNil(tb, c.Foreign, "Config.Foreign is required")
	if c.Options == nil {
		c.Options = func(testing.TB) *provision.Options { return nil }
	}
	if c.Bigger == nil {
		c.Bigger = bigger
	}
	if c.Booted == "" {
		c.Booted = "BOOTED-OK"
	}
	if c.Grace <= 0 {
		c.Grace = 30 * time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
}
