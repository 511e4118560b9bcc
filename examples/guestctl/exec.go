package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/guestforge/provision"
)

// errProgram ends exec when the program has failed, which is said already.
var errProgram = errors.New("the program failed")

// execOptions are the flags of exec.
type execOptions struct {
	stdin     bool
	user, dir string
	env       []string
}

// execDoc is what a program did, in JSON.
type execDoc struct {
	Name string `json:"name"`
	provision.ExecResult
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// execute runs a program in a guest and prints what it says. How it ended is not our
// exit code, as that has meanings of its own.
func execute(ctx context.Context, c *command) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	var out, errs bytes.Buffer
	o := &provision.ExecOptions{Stdout: &out, Stderr: &errs, User: c.exec.user, Dir: c.exec.dir, Env: c.exec.env}
	if c.exec.stdin {
		o.Stdin = c.stdin
	}
	result, err := g.Exec(ctx, c.args[1:], o)
	if err != nil {
		return err
	}
	if c.json {
		err = c.document(execDoc{g.Name(), result, out.String(), errs.String()})
	} else {
		err = errors.Join(show(c.stdout, out.Bytes()), show(c.stderr, errs.Bytes()))
	}
	if err == nil && result.Truncated && !c.json {
		_, err = fmt.Fprintln(c.stderr, "guestctl: there was more output than can be shown")
	}
	if err != nil || result.OK() {
		return err
	}
	if !c.json {
		if _, err := fmt.Fprintf(c.stderr, "guestctl: %s\n", result); err != nil {
			return err
		}
	}
	return errProgram
}

// show writes what comes from a guest; see console.
func show(w io.Writer, text []byte) error {
	if isTerminal(w) {
		text = harmless(text)
	}
	_, err := w.Write(text)
	return err
}
