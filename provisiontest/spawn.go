package provisiontest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// child is a child process that was started.
type child struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	job    job
}

// spawn starts a child process.
func (e *env) spawn(j job) *child {
	e.t.Helper()
	j.Test, j.Machine, j.LockDir = e.test, e.machine, e.lockDir
	j.Result = filepath.Join(e.t.TempDir(), "result")
	text, err := json.Marshal(j)
	require.NoError(e.t, err)
	c := &child{job: j}
	c.cmd = exec.CommandContext(e.ctx, os.Args[0], "-test.count=1", "-test.run="+exactly(e.test))
	c.cmd.Env = append(os.Environ(), jobEnv+"="+string(text))
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.output
	require.NoError(e.t, c.cmd.Start())
	return c
}

// exactly is a pattern for -test.run that only one test matches.
func exactly(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// killed waits until a child has killed itself.
func (e *env) killed(c *child) {
	e.t.Helper()
	err := c.cmd.Wait()
	require.Error(e.t, err, "the child should have died at %v: is the step always run?\n%s", c.job.Kill, &c.output)
	require.NoFileExists(e.t, c.job.Result, "the child should have died at %v and has ended", c.job.Kill)
	require.Equal(e.t, -1, c.cmd.ProcessState.ExitCode(), "the child should have been killed: %v\n%s", err, &c.output)
}

// result waits for what a child hands back.
func (e *env) result(c *child) result {
	e.t.Helper()
	require.NoError(e.t, c.cmd.Wait(), "child process:\n%s", &c.output)
	text, err := os.ReadFile(c.job.Result)
	require.NoError(e.t, err)
	var r result
	require.NoError(e.t, json.Unmarshal(text, &r))
	return r
}

// race runs jobs in processes that begin at the same time.
func (e *env) race(jobs ...job) []result {
	e.t.Helper()
	gate := filepath.Join(e.t.TempDir(), "gate")
	children := make([]*child, len(jobs))
	for i, j := range jobs {
		j.Gate = gate
		children[i] = e.spawn(j)
	}
	for _, c := range children {
		require.NoError(e.t, waitFile(e.ctx, c.job.Result+".ready"))
	}
	require.NoError(e.t, os.WriteFile(gate, nil, 0o600))
	results := make([]result, len(jobs))
	for i, c := range children {
		results[i] = e.result(c)
	}
	return results
}

func waitFile(ctx context.Context, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if err := (wallClock{}).Sleep(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("wait for %s: %w", path, err)
		}
	}
}
