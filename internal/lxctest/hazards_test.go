//go:build linux

package lxctest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hazards are what liblxc and its users were measured to do, and the tests that show
// how this package bears it.
var hazards = []struct{ what, tests string }{
	{"1 a start moves the caller to another control group, and forks a copy of its memory", "TestEmbedderIsLeftAlone"},
	{"2 descriptors and the environment are handed to the tenant", "TestEmbedderIsLeftAlone TestConformance"},
	{"3 limits for the other version of control groups are ignored", "TestWrongKeys"},
	{"4 groups of a guest have other names each time, and the guest lifts its own limits", "TestGuestCannotLiftLimits TestMonitorKilled"},
	{"5 a privileged guest undoes limits", "TestUnprivilegedByDefault TestGuestCannotLiftLimits"},
	{"6 liblxc writes limits to the inner group", "TestConformance TestGuestCannotLiftLimits"},
	{"7 what was changed live is lost when the guest reboots itself", "TestGuestRebootsItself TestPortComesBack"},
	{"8 a line break in a value is a hook", "TestControlCharacters"},
	{"9 calls block for ever", "TestHungMonitor TestStartThatHangs"},
	{"10 counters begin anew", "TestConformance"},
	// What tenants do.
	{"forks, memory, inodes, disk, transfers", "TestNoisyNeighbours"},
	{"spoofed frames", "TestSpoofing TestIsolation"},
	{"archives that reach outside", "TestHostileImages TestPlantedPaths FuzzArchive"},
	{"trees that reach outside", "TestHostileTrees TestRemoveHostile TestHostileGuests"},
	{"kill -9", "TestKilled TestMonitorKilled TestConformance"},
	{"load", "TestFiftyGuests TestFiveHundredLives"},
}

var testRE = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// TestHazardsAreCovered: each of them has a test that is there.
func TestHazardsAreCovered(t *testing.T) {
	tests := map[string]bool{}
	for _, dir := range []string{".", "../../lxc", "../hostnet", "../unpack", "../rootfs", "../roots", "../cgroup"} {
		files, err := filepath.Glob(dir + "/*_test.go")
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			for _, m := range testRE.FindAllStringSubmatch(string(text), -1) {
				tests[m[1]] = true
			}
		}
	}
	for _, h := range hazards {
		for _, name := range strings.Fields(h.tests) {
			require.True(t, tests[name], "%s: there is no %s", h.what, name)
		}
	}
}
