package kvm_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hazards are what the RPC library, libvirtd 9.0 and their users were measured to do,
// and the tests that show how this package bears it. Where there is none, doc.go says
// so in these words.
var hazards = []struct{ what, tests, words string }{
	// The RPC library.
	{"1 calls have no deadline", "TestFrozenDaemon TestDeafDaemon TestCloseEndsCalls TestDeafMachines", ""},
	{"2 a call that is given up goes on", "TestHazard02Outcome TestOutcomeUnknown TestHungGuest", ""},
	{"3 a stream that stalls holds up its connection", "TestStalledImportsHoldUpNobody TestSlowReader", ""},
	{"4 an upload leaks its reader", "TestStalledImportsHoldUpNobody", ""},
	{"5 an object that reconnects races", "TestHazard20Leaks", "has a connection to itself"},
	{"6 the daemon restarts", "TestDaemon TestHazard06Gate TestHazard06And10Resync TestFaultMatrix", ""},
	{"7 subscriptions ignore their domain", "TestWatch", ""},
	{"8 one subscription for each event", "TestHazard08And09OneSubscription", ""},
	{"9 a subscription that is not read leaks", "TestHazard08And09OneSubscription", ""},
	{"10 early events are lost", "TestHazard06And10Resync", ""},
	{"11 libvirtd stops sending events", "TestHazard11SilentDaemon", ""},
	{"12 some events never come", "TestDifferences", "What libvirtd has no event for"},
	{"13 the queue of events has no bound", "TestHazard13SlowWatcher TestEventsAreNotLost", ""},
	{"14 no keepalive", "TestHazard14OldConnections", ""},
	{"15 no SASL", "TestHazard15SASL TestGreetingError", "SASL"},
	{"16 no read-only connections", "", "Read-only"},
	{"17 errors are numbers", "TestClassifyCodes TestNativeErrors TestLost", ""},
	{"18 no descriptors, no sparse streams", "", "file descriptors over the socket, sparse streams"},
	{"19 TLS without a deadline", "TestHazard19TLS TestTLSExpired TestDeafMachines", ""},
	{"20 SSH leaks its client", "TestHazard20SSH TestHazard20Leaks", ""},
	{"21 lengths are trusted", "TestWireLengths FuzzWire", ""},
	{"22 NetworkUpdate by version", "", "Bridges and pools are never made or changed"},
	// What operations come upon.
	{"create: jobs of the pool, refreshes, missing images", "TestParallelCreates TestUploadThatVanishes TestNoRefresh TestFullPool", ""},
	{"seed: the bus, secrets", "TestGuestSeesItsSpec TestSecretsStayOut TestDebian", ""},
	{"start: QEMU's words, a saved state", "TestNativeErrors TestDeleteLeavesNothing", ""},
	{"graceful stop: no ACPI, paused, agent", "TestStop TestStopByRealAgent TestStopHungAgent TestStopWithoutAnAgent", ""},
	{"delete: what an undefine forgets", "TestDeleteLeavesNothing TestDeleteWhileOthersStart TestCrashedQEMU TestUndefineFlags", ""},
	{"resizing", "", "Resizing, snapshots, backups and migration"},
	{"hot-plug: spare ports", "TestHotPlug", ""},
	{"limits of disks", "TestLimitsHold TestLimitsChangedByOthers TestCheckIssues", ""},
	{"bandwidth: the kernel's queues", "TestRate", ""},
	{"VLANs", "TestOpenVSwitch TestVLANAdvice", ""},
	{"anti-spoofing", "TestAntiSpoof TestAntiSpoofIsReadBack TestIsolatedNICs", ""},
	{"guaranteed memory", "TestGuaranteedMemory TestHugePages TestMemoryAdmission", ""},
	{"autostart", "TestConformance", ""},
	{"console: one user", "TestConsole TestConsoleTimeout TestSlowReader", ""},
	{"agent: codes, hostile answers", "TestAgentErrors TestAnswers TestExecWithoutAgent TestAgentThatHangs TestDebian", ""},
	{"records in metadata", "TestHazard02Outcome TestConformance", ""},
	{"counters: a QEMU that hangs", "TestUsageWithHungQEMU TestUsageOfFrozenDaemon", ""},
	{"crash leftovers", "TestCrashedQEMU TestOrphans TestFaultMatrix", ""},
}

var testRE = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// TestHazardsAreCovered: each of them has a test that is there, or words in the
// documentation that are.
func TestHazardsAreCovered(t *testing.T) {
	tests := map[string]bool{}
	for _, dir := range []string{".", "../internal/kvmtest", "../internal/kvmload", "../internal/debiantest"} {
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
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	words := strings.Join(strings.Fields(strings.ReplaceAll(string(doc), "//", "")), " ")
	for _, h := range hazards {
		require.True(t, h.tests != "" || h.words != "", h.what)
		for _, name := range strings.Fields(h.tests) {
			require.True(t, tests[name], "%s: there is no %s", h.what, name)
		}
		require.Contains(t, words, h.words, h.what)
	}
}
