package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// machine is a simulated one that lasts for a test.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) *machine { return &machine{t, t.TempDir()} }

// result is what one call of guestctl did.
type result struct {
	code           int
	stdout, stderr string
}

// run calls guestctl as a process of its own would: nothing but the state file
// is kept between two calls.
func (m *machine) run(args ...string) result { return m.runWith(m.t.Context(), "", args...) }

func (m *machine) runWith(ctx context.Context, stdin string, args ...string) result {
	common := []string{"-backend", "sim", "-state", filepath.Join(m.dir, "state.json"), "-lockdir", filepath.Join(m.dir, "locks")}
	return call(ctx, stdin, append(common, args...)...)
}

func call(ctx context.Context, stdin string, args ...string) result {
	var out, errs bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &out, &errs)
	return result{code, out.String(), errs.String()}
}

// ok is run for what must succeed, without a word on stderr.
func (m *machine) ok(args ...string) string {
	m.t.Helper()
	r := m.run(args...)
	require.Zero(m.t, r.code, "%v: %s", args, r.stderr)
	require.Empty(m.t, r.stderr)
	return r.stdout
}

// file writes a file and returns its path.
func (m *machine) file(name, text string) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	require.NoError(m.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// withGuest is a machine that has an image and a stopped guest.
func withGuest(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	m.ok("image", "import", "debian-12", m.file("disk.raw", strings.Repeat("x", 4096)))
	m.ok("create", "-f", m.file("web1.yaml", "name: web1\nimage: debian-12\nlabels: {customer: \"77\"}\n"))
	return m
}

// fromJSON reads the one JSON document that text must be.
func fromJSON[T any](t *testing.T, text string) (v T) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	require.NoError(t, dec.Decode(&v), text)
	require.False(t, dec.More(), "more than one document: %s", text)
	return v
}
