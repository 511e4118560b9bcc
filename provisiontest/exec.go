package provisiontest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func execCases() []testCase {
	return []testCase{
		rule("programs", "a program in a guest gets its arguments, input and environment, and its output and end are told", (*env).execPrograms),
		rule("deadline", "when the context ends, Exec returns its error soon and what it started is dead", (*env).execDeadline),
		rule("refused", "what cannot be run is refused: by a guest that is off or foreign, and by what is wrong with the call", (*env).execRefused),
	}
}

// output is what a program wrote, and how it ended.
type output struct {
	provision.ExecResult
	out, err string
}

// exec runs a program that can be run.
func (e *env) exec(g *provision.Guest, o provision.ExecOptions, argv ...string) output {
	e.t.Helper()
	var out, errs bytes.Buffer
	o.Stdout, o.Stderr = &out, &errs
	r, err := g.Exec(e.ctx, argv, &o)
	require.NoError(e.t, err, "%q", argv)
	return output{r, out.String(), errs.String()}
}

// inside returns a guest in which programs can be run, or false where none can.
func (e *env) inside() (*provision.Guest, bool) {
	e.t.Helper()
	g := e.create("a")
	require.NoError(e.t, g.Start(e.ctx, nil))
	if !e.declared(provision.FeatureExec, func() error {
		_, err := g.Exec(e.ctx, []string{"true"}, nil)
		return err
	}) {
		_, err := g.Wait(e.ctx, provision.UntilExec())
		require.ErrorIs(e.t, err, errors.ErrUnsupported)
		return nil, false
	}
	_, err := g.Wait(e.ctx, provision.UntilExec())
	require.NoError(e.t, err)
	return g, true
}

func (e *env) execPrograms() {
	g, ok := e.inside()
	if !ok {
		return
	}
	none := provision.ExecOptions{}
	e.sub("status", func(e *env) {
		require.Equal(e.t, output{}, e.exec(g, none, "true"))
		r := e.exec(g, none, "false")
		require.Equal(e.t, provision.ExecResult{Code: 1}, r.ExecResult)
		require.False(e.t, r.OK())
		dropped, err := g.Exec(e.ctx, []string{"false"}, nil)
		require.NoError(e.t, err)
		require.Equal(e.t, 1, dropped.Code, "without options")
	})
	e.sub("arguments", func(e *env) {
		odd := []string{"two  words", "", "$(reboot) `id` $HOME", "'\"\\", "line\nbreak", "é 😀", "*", "-n", "--"}
		require.Equal(e.t, strings.Join(odd, " ")+"\n", e.exec(g, none, append([]string{"echo"}, odd...)...).out, "no shell looks at them")
	})
	e.sub("streams", func(e *env) {
		r := e.exec(g, none, "cat", "/nonexistent/file")
		require.False(e.t, r.OK())
		require.Empty(e.t, r.out)
		require.Contains(e.t, r.err, "/nonexistent/file", "on its own stream")
		input := "\x00\xff\r\n" + strings.Repeat("0123456789abcde\n", 2048)
		require.Equal(e.t, output{out: input}, e.exec(g, provision.ExecOptions{Stdin: strings.NewReader(input)}, "cat"), "byte for byte")
		require.Equal(e.t, output{}, e.exec(g, none, "cat"), "the default input is empty")
	})
	e.sub("environment", func(e *env) {
		require.Contains(e.t, e.exec(g, none, "env").out, "PATH=")
		lines := strings.Split(e.exec(g, provision.ExecOptions{Env: []string{"A_1=x y='\"$HOME", "EMPTY="}}, "env").out, "\n")
		require.Subset(e.t, lines, []string{"A_1=x y='\"$HOME", "EMPTY="})
		require.Contains(e.t, strings.Join(lines, "\n"), "PATH=", "it is added")
	})
	e.sub("user", func(e *env) {
		as := provision.ExecOptions{User: "nobody"}
		if e.declared(provision.FeatureExecUser, func() error { _, err := g.Exec(e.ctx, []string{"true"}, &as); return err }) {
			require.Equal(e.t, "nobody\n", e.exec(g, as, "id", "-un").out)
		}
	})
	e.sub("directory", func(e *env) {
		in := provision.ExecOptions{Dir: "/tmp"}
		if e.declared(provision.FeatureExecDir, func() error { _, err := g.Exec(e.ctx, []string{"true"}, &in); return err }) {
			require.Equal(e.t, "/tmp\n", e.exec(g, in, "pwd").out)
		}
	})
	e.sub("terminal", func(e *env) { e.execTerminal(g) })
	e.sub("no program", func(e *env) {
		var out bytes.Buffer
		for _, o := range []*provision.ExecOptions{nil, {Stdout: &out}} {
			r, err := g.Exec(e.ctx, []string{"/nonexistent/program"}, o)
			require.False(e.t, r.OK(), "nothing has run")
			require.ErrorIs(e.t, err, provision.ErrInvalid)
		}
	})
}

func (e *env) execDeadline() {
	g, ok := e.inside()
	if !ok {
		return
	}
	const limit = time.Second
	ctx, cancel := context.WithTimeout(e.ctx, limit)
	defer cancel()
	begin := time.Now()
	var out bytes.Buffer
	_, err := g.Exec(ctx, []string{"tail", "-f", "/dev/null"}, &provision.ExecOptions{Stdout: &out})
	require.ErrorIs(e.t, err, context.DeadlineExceeded)
	require.Less(e.t, time.Since(begin), limit+15*time.Second)
	require.Equal(e.t, 1, e.exec(g, provision.ExecOptions{}, "pidof", "tail").Code, "it was killed")
}

func (e *env) execRefused() {
	off := e.create("off")
	run := func(g *provision.Guest, argv []string, o *provision.ExecOptions) error {
		_, err := g.Exec(e.ctx, argv, o)
		return err
	}
	if !e.declared(provision.FeatureExec, func() error { return run(off, []string{"true"}, nil) }) {
		return
	}
	require.ErrorIs(e.t, run(off, []string{"true"}, nil), provision.ErrState)
	_, err := off.Wait(e.ctx, provision.UntilExec())
	require.ErrorIs(e.t, err, provision.ErrState)
	remove := e.Foreign(e.t, e.machine, e.name("foreign"))
	defer remove()
	foreign, err := e.Guest(e.ctx, e.name("foreign"))
	require.NoError(e.t, err)
	require.ErrorIs(e.t, run(foreign, []string{"true"}, nil), provision.ErrState)
	require.NoError(e.t, off.Delete(e.ctx, nil))
	require.ErrorIs(e.t, run(off, []string{"true"}, nil), provision.ErrNotFound)

	for what, try := range map[string]struct {
		argv []string
		opts provision.ExecOptions
	}{
		"nothing":             {},
		"an empty program":    {argv: []string{""}},
		"a zero byte":         {argv: []string{"echo", "a\x00b"}},
		"a bad variable":      {argv: []string{"env"}, opts: provision.ExecOptions{Env: []string{"A-B=c"}}},
		"a variable alone":    {argv: []string{"env"}, opts: provision.ExecOptions{Env: []string{"A"}}},
		"too much":            {argv: []string{"echo", strings.Repeat("x", 128<<10)}},
		"too many":            {argv: make([]string, 1025)},
		"a user with a space": {argv: []string{"id"}, opts: provision.ExecOptions{User: "a b"}},
		"a relative path":     {argv: []string{"pwd"}, opts: provision.ExecOptions{Dir: "tmp"}},
	} {
		require.ErrorIs(e.t, run(off, try.argv, &try.opts), provision.ErrInvalid, what)
	}
}
