package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
)

// errProgram ends exec when the program has failed, which is said already.
var errProgram = errors.New("the program failed")

// execOptions are the flags of exec.
type execOptions struct {
	stdin     bool
	tty       bool
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
	result, err := c.runIn(ctx, g, o)
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

// runIn runs the program, with a terminal if one is wanted: what it says is then shown
// at once, and who types is no longer heard when it has ended.
func (c *command) runIn(ctx context.Context, g *provision.Guest, o *provision.ExecOptions) (provision.ExecResult, error) {
	if !c.exec.tty {
		return g.Exec(ctx, c.args[1:], o)
	}
	o.TTY, o.Stderr = &provision.Terminal{Size: sizeOf(c.stdout)}, nil
	if c.exec.stdin {
		typed, keys := io.Pipe()
		go func() {
			_, err := io.Copy(keys, c.stdin) // ends with the input, or with the process
			keys.CloseWithError(err)
		}()
		o.Stdin = typed
	}
	if c.json {
		return g.Exec(ctx, c.args[1:], o)
	}
	said, says := io.Pipe()
	o.Stdout = says
	shown := make(chan error, 1)
	go func() {
		err := follow(c.stdout, said)
		said.CloseWithError(err)
		shown <- err
	}()
	result, err := g.Exec(ctx, c.args[1:], o)
	says.Close() // never fails, see io.PipeWriter
	return result, errors.Join(err, <-shown)
}

// sizeOf is the size of our own terminal, or zero.
func sizeOf(w io.Writer) provision.TerminalSize {
	f, ok := w.(*os.File)
	if !ok {
		return provision.TerminalSize{}
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return provision.TerminalSize{}
	}
	return provision.TerminalSize{Rows: size.Row, Cols: size.Col}
}

// show writes what comes from a guest; see console.
func show(w io.Writer, text []byte) error {
	if isTerminal(w) {
		text = harmless(text)
	}
	_, err := w.Write(text)
	return err
}
