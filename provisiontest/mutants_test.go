package provisiontest

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// mutantEnv names the broken backend that a child process is to test.
const mutantEnv = "PROVISIONTEST_MUTANT"

// TestMutants breaks the in-memory backend in one way after the other, and
// demands that the suite notices, in the case that is there for it.
func TestMutants(t *testing.T) {
	all := mutants()
	if name := os.Getenv(mutantEnv); name != "" {
		c := fileConfig(nil, all[name].wrap)
		c.Timeout = 10 * time.Second
		Run(t, c)
		return
	}
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test := "TestMutants/" + m.caught
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+exactly(test))
			cmd.Env = append(os.Environ(), mutantEnv+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "the suite did not notice:\n%s", out)
			require.Contains(t, string(out), "--- FAIL: "+test)
			require.Contains(t, string(out), "the rule is:")
		})
	}
}

// mutant is a way to break the backend, and the case that notices.
type mutant struct {
	caught string
	wrap   func(*Backend) provision.Backend
}

func mutants() map[string]mutant {
	return map[string]mutant{
		"delete leaves a volume":      {"close/guests", func(b *Backend) provision.Backend { return leaky{b} }},
		"delete needs a guest":        {"undo/create", func(b *Backend) provision.Backend { return strictDelete{b} }},
		"disk before the mark":        {"crash/create", func(b *Backend) provision.Backend { return diskFirst{b} }},
		"record loses a character":    {"names/relabel", func(b *Backend) provision.Backend { return lossyRecord{b} }},
		"list is short":               {"lifecycle/status", func(b *Backend) provision.Backend { return shortList{b} }},
		"limits are not told":         {"capability/together", func(b *Backend) provision.Backend { return silent{b} }},
		"isolation does nothing":      {"capability/together", func(b *Backend) provision.Backend { return unisolated{b} }},
		"kill does nothing":           {"lifecycle/kill", func(b *Backend) provision.Backend { return immortal{b} }},
		"pause does nothing":          {"lifecycle/running", func(b *Backend) provision.Backend { return noPause{b} }},
		"autostart does nothing":      {"lifecycle/autostart", func(b *Backend) provision.Backend { return noAutostart{b} }},
		"console from the beginning":  {"lifecycle/console", func(b *Backend) provision.Backend { return rewound{b} }},
		"declares what it refuses":    {"capability/features", func(b *Backend) provision.Backend { return boaster{b} }},
		"import hides errors":         {"images/failed", func(b *Backend) provision.Backend { return credulous{b} }},
		"image is released early":     {"images/in-use", func(b *Backend) provision.Backend { return careless{b} }},
		"image is never released":     {"images/released", func(b *Backend) provision.Backend { return possessive{b} }},
		"watch is not ready":          {"events/order", func(b *Backend) provision.Backend { return unready{b} }},
		"watch hides foreign guests":  {"events/foreign", func(b *Backend) provision.Backend { return secretive{b} }},
		"watch leaves a goroutine":    {"events/break", func(b *Backend) provision.Backend { return leakyWatch{b} }},
		"usage stands still":          {"usage/counters", func(b *Backend) provision.Backend { return still{b} }},
		"runs are not told apart":     {"usage/runs", func(b *Backend) provision.Backend { return oneRun{b} }},
		"orphans of living guests":    {"orphans/in-use", func(b *Backend) provision.Backend { return greedy{b} }},
		"young orphans go":            {"orphans/found", func(b *Backend) provision.Backend { return hasty{b} }},
		"orphans stay":                {"orphans/found", func(b *Backend) provision.Backend { return keeper{b} }},
		"render shows secrets":        {"capability/render", func(b *Backend) provision.Backend { return talkative{b} }},
		"exec lets it live":           {"exec/deadline", func(b *Backend) provision.Backend { return haunted{b} }},
		"console for everybody":       {"console/one-user", func(b *Backend) provision.Backend { return crowded{b} }},
		"resize does nothing":         {"resize/off", func(b *Backend) provision.Backend { return idleResize{b} }},
		"resize forgets what waits":   {"resize/on", func(b *Backend) provision.Backend { return forgetful{b} }},
		"resize cannot go back":       {"resize/fails", func(b *Backend) provision.Backend { return oneWay{b} }},
		"resize always fits":          {"resize/refused", func(b *Backend) provision.Backend { return roomy{b} }},
		"snapshots are half":          {"snapshots/killed", func(b *Backend) provision.Backend { return halfSeen{b} }},
		"restore does nothing":        {"snapshots/kept", func(b *Backend) provision.Backend { return stuck{b} }},
		"delete leaves snapshots":     {"snapshots/kept", func(b *Backend) provision.Backend { return hoarder{b} }},
		"terminals have one size":     {"exec/programs", func(b *Backend) provision.Backend { return deafTerminal{b} }},
		"plan makes what it looks at": {"plan/create", func(b *Backend) provision.Backend { return eagerPlan{b} }},
	}
}
