package provisiontest

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guestforge/provision"
)

// Run checks that a backend keeps the contracts of package provision. Call it
// once in a test function, or in a subtest of its own.
func Run(t *testing.T, c Config) {
	t.Helper()
	c.setDefaults(t)
	if j := jobFromEnv(t); j != nil {
		s := &suite{Config: c, machine: j.Machine, lockDir: j.LockDir, test: t.Name()}
		s.work(t, j)
		return
	}
	s := &suite{Config: c, machine: c.Machine(t), lockDir: t.TempDir(), test: t.Name()}
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) {
			for _, tc := range g.cases {
				t.Run(tc.name, func(t *testing.T) { s.run(t, tc) })
			}
		})
	}
}

// suite is one Run on one machine.
type suite struct {
	Config
	machine string
	lockDir string
	test    string // the name of the test that called Run
	count   atomic.Int64
}

// group is a set of cases about one matter.
type group struct {
	name  string
	cases []testCase
}

// testCase checks one rule.
type testCase struct {
	name, rule string
	source     string // where the case is written
	run        func(*env)
}

// rule makes a case of a name, the rule in words, and what checks it.
func rule(name, words string, run func(*env)) testCase {
	_, file, line, _ := runtime.Caller(1)
	return testCase{name: name, rule: words, run: run, source: fmt.Sprintf("%s:%d", filepath.Base(file), line)}
}

func groups() []group {
	return []group{
		{"lifecycle", lifecycleCases()},
		{"names", namesCases()},
		{"idempotence", idempotenceCases()},
		{"identity", identityCases()},
		{"suspend", append(suspendCases(), breachCases()...)},
		{"errors", errorsCases()},
		{"capability", capabilityCases()},
		{"plan", planCases()},
		{"usage", usageCases()},
		{"resize", resizeCases()},
		{"snapshots", snapshotCases()},
		{"images", imagesCases()},
		{"exec", execCases()},
		{"console", consoleCases()},
		{"events", eventsCases()},
		{"cancel", cancelCases()},
		{"concurrency", concurrencyCases()},
		{"undo", undoCases()},
		{"crash", crashCases()},
		{"orphans", orphanCases()},
		{"close", closeCases()},
	}
}

// run checks one case, and that it left nothing on the machine.
func (s *suite) run(t *testing.T, tc testCase) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: the rule is: %s", tc.source, tc.rule)
		}
	})
	t.Cleanup(s.guard(t.Name()))
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout)
	t.Cleanup(cancel)
	e := &env{suite: s, t: t, ctx: ctx, prefix: fmt.Sprintf("pt%d-", s.count.Add(1))}
	before := e.leftovers()
	e.Host = e.open(nil)
	t.Cleanup(func() {
		e.sweep()
		if diff := cmp.Diff(before, e.leftovers()); diff != "" {
			t.Errorf("something was left on the machine (-before +after):\n%s", diff)
		}
	})
	tc.run(e)
}

// guard ends the test binary, with all stacks, when a case hangs although its
// context has ended.
func (s *suite) guard(name string) (stop func()) {
	limit := 2*s.Timeout + 10*time.Second
	timer := time.AfterFunc(limit, func() {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		panic(fmt.Sprintf("%s hangs, %s after its start; its context ended after %s\n%s", name, limit, s.Timeout, stacks))
	})
	return func() { timer.Stop() }
}

// options returns those of the Config, with a LockDir that all processes share.
func (s *suite) options(tb testing.TB) *provision.Options {
	var o provision.Options
	if given := s.Options(tb); given != nil {
		o = *given
	}
	if o.LockDir == "" {
		o.LockDir = s.lockDir
	}
	return &o
}

func (s *suite) leftovers(tb testing.TB) []string {
	return slices.Sorted(slices.Values(s.Leftovers(tb, s.machine)))
}
