// Guestctl makes and runs guests from the command line: for people, for scripts,
// and as an example of a program that uses package provision. Run it without
// arguments for its verbs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/guestforge/provision"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is one call of guestctl: what the user asked for and where the answer
// goes.
type command struct {
	options
	verb   *verb
	args   []string // without flags
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	host   *provision.Host
	driver provision.Backend // of the host
}

// run does everything that main does but to end the process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &command{stdin: stdin, stdout: stdout, stderr: stderr}
	err := c.parse(args)
	var help helpWanted
	switch {
	case errors.As(err, &help):
		_, err = io.WriteString(stdout, help.text)
	case err == nil:
		err = c.do(ctx)
	}
	if err == nil {
		return exitDone
	}
	return c.fail(ctx, err)
}

// do opens the host, unless the verb needs none, runs the verb and closes the
// host.
func (c *command) do(ctx context.Context) (err error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	if !c.needsHost() {
		return c.verb.run(ctx, c)
	}
	c.driver, err = c.open()
	if err != nil {
		return err
	}
	c.host, err = provision.Open(ctx, c.driver, &provision.Options{LockDir: c.lockDir, Residency: c.residency})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.host.Close()) }()
	return c.verb.run(ctx, c)
}

// needsHost is false for what is about files, or about guestctl itself: it works
// on a machine without a hypervisor.
func (c *command) needsHost() bool {
	files := strings.HasPrefix(c.verb.args, "[FILE") && len(c.args) > 0
	return !files && !c.lint.rules
}

// guest returns the guest that the first argument names.
func (c *command) guest(ctx context.Context) (*provision.Guest, error) {
	return c.host.Guest(ctx, c.args[0])
}

// say tells people what was done; programs get a document instead.
func (c *command) say(form string, args ...any) error {
	_, err := fmt.Fprintf(c.stdout, form+"\n", args...)
	return err
}
