package provisiontest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// jobEnv holds the job of a child process.
const jobEnv = "PROVISIONTEST_JOB"

// job is what a child process does instead of the suite.
type job struct {
	Test    string // the test that called Run
	Do      string // a key of works
	Machine string
	LockDir string
	Name    string // of the guest or image
	Key     string
	Kill    *point `json:",omitempty"` // where to die
	Result  string // file for the result
	Gate    string `json:",omitempty"` // file to wait for, so that children begin together
}

// point is a place in the course of a long call.
type point struct {
	Op, Step string
	After    bool
}

// String names a subtest.
func (p point) String() string {
	when := "before"
	if p.After {
		when = "after"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", when, p.Op, p.Step))
}

// result is what a child hands back, if it lives to do so.
type result struct {
	ID  provision.ID
	Err string
}

// jobFromEnv returns the job of this process, or nil in the first one.
func jobFromEnv(t *testing.T) *job {
	text := os.Getenv(jobEnv)
	if text == "" {
		return nil
	}
	j := new(job)
	require.NoError(t, json.Unmarshal([]byte(text), j), jobEnv)
	require.Equal(t, j.Test, t.Name(), "a child process must run the one test that it was started for")
	return j
}

// work is what a child can do.
type work func(context.Context, *testing.T, *provision.Host, *job) (provision.ID, error)

// works returns what children can do.
func (s *suite) works() map[string]work {
	all := map[string]work{
		"create": s.childCreate,
		"delete": s.childDelete,
		"import": s.childImport,
		"suspend": func(ctx context.Context, _ *testing.T, h *provision.Host, j *job) (provision.ID, error) {
			return childVerb(ctx, h, j, func(g *provision.Guest) error {
				_, err := g.Suspend(ctx, "payment", &provision.StopOptions{Force: true})
				return err
			})
		},
		"unsuspend": func(ctx context.Context, _ *testing.T, h *provision.Host, j *job) (provision.ID, error) {
			return childVerb(ctx, h, j, func(g *provision.Guest) error { return g.Unsuspend(ctx, "payment") })
		},
	}
	maps.Copy(all, s.changes())
	return all
}

// childVerb runs a verb on the guest of the job.
func childVerb(ctx context.Context, h *provision.Host, j *job, do func(*provision.Guest) error) (provision.ID, error) {
	g, err := h.Guest(ctx, j.Name)
	if err != nil {
		return "", err
	}
	return g.ID(), do(g)
}

// work does the job of a child.
func (s *suite) work(t *testing.T, j *job) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout)
	defer cancel()
	h, err := s.open(ctx, t, j.die)
	require.NoError(t, err)
	defer h.Close()
	if j.Gate != "" {
		require.NoError(t, os.WriteFile(j.Result+".ready", nil, 0o600))
		require.NoError(t, waitFile(ctx, j.Gate))
	}
	do, ok := s.works()[j.Do]
	require.True(t, ok, "no such job: %s", j.Do)
	var r result
	r.ID, err = do(ctx, t, h, j)
	if err != nil {
		r.Err = err.Error()
	}
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(j.Result, text, 0o600))
}

// die kills this process, so that nothing is cleaned up, at the chosen point.
func (j *job) die(ctx context.Context, c provision.Call, next func(context.Context) error) error {
	if j.Kill == nil || j.Kill.Op != c.Op || j.Kill.Step != c.Step {
		return next(ctx)
	}
	if j.Kill.After {
		if err := next(ctx); err != nil {
			return err
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		return err
	}
	select {} // until the signal arrives
}

func (s *suite) childCreate(ctx context.Context, t *testing.T, h *provision.Host, j *job) (provision.ID, error) {
	spec := s.keyed(t, h, j.Name)
	spec.Key = j.Key
	g, err := h.Create(ctx, spec, nil)
	if err != nil {
		return "", err
	}
	return g.ID(), nil
}

func (s *suite) childDelete(ctx context.Context, _ *testing.T, h *provision.Host, j *job) (provision.ID, error) {
	g, err := h.Guest(ctx, j.Name)
	if err != nil {
		return "", err
	}
	return g.ID(), g.Delete(ctx, nil)
}

func (s *suite) childImport(ctx context.Context, t *testing.T, h *provision.Host, j *job) (provision.ID, error) {
	content, format := s.Image(t, s.machine)
	_, err := h.ImportImage(ctx, j.Name, bytes.NewReader(content), &provision.ImportOptions{Format: format})
	return "", err
}
