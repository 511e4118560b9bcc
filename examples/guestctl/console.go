package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/guestforge/provision"
)

// console prints the log of a guest as it is. On a terminal, what is not text
// is replaced: the guest's owner must not be able to play tricks on ours.
func console(ctx context.Context, c *command) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	if c.interactive {
		return c.attend(ctx, g)
	}
	var log []byte
	for {
		part, err := g.ConsoleLog(ctx, int64(len(log)))
		if err != nil {
			return err
		}
		if len(part) == 0 {
			break
		}
		log = append(log, part...)
	}
	if c.json {
		return c.document(map[string]string{"name": g.Name(), "console": string(log)})
	}
	return show(c.stdout, log)
}

// attend connects a guest's console with our input and output, line by line, until the
// input ends or the guest goes off. The goroutine that reads our input ends with it.
func (c *command) attend(ctx context.Context, g *provision.Guest) error {
	con, err := g.Console(ctx, &provision.ConsoleOptions{Force: c.force})
	if err != nil {
		return err
	}
	if isTerminal(c.stderr) {
		_, _ = fmt.Fprintf(c.stderr, "connected to %s; end of input (Ctrl-D) leaves\n", g.Name())
	}
	typed, shown, heard := make(chan error, 1), make(chan error, 1), make(chan struct{}, 1)
	go func() {
		_, err := io.Copy(con, c.stdin)
		typed <- err
	}()
	go func() { shown <- follow(c.stdout, listener{con, heard}) }()
	isShown := false
	select {
	case err = <-typed:
		if err == nil && !isTerminal(c.stdin) {
			isShown, err = linger(ctx, shown, heard)
		}
	case err = <-shown:
		isShown = true
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = con.Close() // we have what we want of it
	if !isShown {
		select { // nothing is printed when we are gone
		case <-shown:
		case <-ctx.Done():
		}
	}
	return err
}

// What comes from a script ends at once, and its answers come later: these are how
// long the console must be silent then, and how long is waited for that.
const (
	silence    = time.Second
	mostLinger = 15 * time.Second
)

// linger waits for a guest to have answered, and reports whether the console has
// ended.
func linger(ctx context.Context, shown <-chan error, heard <-chan struct{}) (ended bool, err error) {
	most := time.After(mostLinger)
	for {
		select {
		case err := <-shown:
			return true, err
		case <-heard:
		case <-time.After(silence):
			return false, nil
		case <-most:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// listener is a reader that tells when something comes.
type listener struct {
	io.Reader
	heard chan<- struct{}
}

func (l listener) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 {
		select {
		case l.heard <- struct{}{}:
		default:
		}
	}
	return n, err
}

// follow shows what comes from a console, never half a character.
func follow(w io.Writer, r io.Reader) error {
	buf := make([]byte, 4096)
	have := 0
	for {
		n, err := r.Read(buf[have:])
		have += n
		whole := have
		for i := 1; i < utf8.UTFMax && i <= have && err == nil; i++ {
			if utf8.RuneStart(buf[have-i]) {
				if !utf8.FullRune(buf[have-i : have]) {
					whole = have - i
				}
				break
			}
		}
		if werr := show(w, buf[:whole]); werr != nil {
			return werr
		}
		have = copy(buf, buf[whole:have])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// harmless replaces control characters other than those that end lines.
func harmless(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		if r == '\r' {
			return -1
		}
		return '·'
	}, text)
}
