package provisiontest

import (
	"bytes"
	"io"
	"io/fs"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func consoleCases() []testCase {
	return []testCase{
		rule("both-ways", "what is typed on a console reaches the guest, and what the guest writes can be read", (*env).consoleBothWays),
		rule("one-user", "a console has one user: another one is refused, or takes it over by force", (*env).consoleOneUser),
		rule("end", "a console ends with Close, with its guest and with its Host, and none opens on a guest that is off", (*env).consoleEnd),
	}
}

// terminal opens the console of a guest.
func (e *env) terminal(g *provision.Guest, o *provision.ConsoleOptions) io.ReadWriteCloser {
	e.t.Helper()
	c, err := g.Console(e.ctx, o)
	require.NoError(e.t, err)
	e.t.Cleanup(func() { require.NoError(e.t, c.Close()) })
	return c
}

// attended returns a booted guest with a console, or false where there is none.
func (e *env) attended() (*provision.Guest, bool) {
	e.t.Helper()
	g := e.create("a")
	if !e.declared(provision.FeatureConsole, func() error { _, err := g.Console(e.ctx, nil); return err }) {
		return nil, false
	}
	_, err := g.Console(e.ctx, nil)
	require.ErrorIs(e.t, err, provision.ErrState, "of a guest that is off")
	e.booted(g)
	return g, true
}

// echoed types a line and reads until it comes back.
func (e *env) echoed(c io.ReadWriter, line string) {
	e.t.Helper()
	_, err := io.WriteString(c, line+"\n")
	require.NoError(e.t, err)
	var have []byte
	part := make([]byte, 100)
	for !bytes.Contains(have, []byte(line)) {
		n, err := c.Read(part)
		require.NoError(e.t, err, "after %q", have)
		have = append(have, part[:n]...)
	}
}

// reading reads in the background until there is an error.
func reading(c io.Reader) <-chan error {
	end := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c)
		if err == nil {
			err = io.EOF
		}
		end <- err
	}()
	return end
}

func (e *env) consoleBothWays() {
	g, ok := e.attended()
	if !ok {
		return
	}
	c := e.terminal(g, nil)
	e.echoed(c, "hello  there")
	e.echoed(c, "é '\"$")
	require.NoError(e.t, c.Close())
	e.echoed(e.terminal(g, nil), "again")
}

func (e *env) consoleOneUser() {
	g, ok := e.attended()
	if !ok {
		return
	}
	first := e.terminal(g, nil)
	_, err := g.Console(e.ctx, nil)
	require.ErrorIs(e.t, err, provision.ErrBusy)
	e.echoed(first, "still there")
	end := reading(first)
	second := e.terminal(g, &provision.ConsoleOptions{Force: true})
	require.ErrorIs(e.t, e.fails(end, "who was there before"), provision.ErrBusy)
	e.echoed(second, "taken over")
}

// fails waits until reading has ended.
func (e *env) fails(end <-chan error, who string) error {
	e.t.Helper()
	select {
	case err := <-end:
		return err
	case <-e.ctx.Done():
		require.Fail(e.t, "Read goes on", who)
		return nil
	}
}

func (e *env) consoleEnd() {
	g, ok := e.attended()
	if !ok {
		return
	}
	c := e.terminal(g, nil)
	end := reading(c)
	require.NoError(e.t, c.Close())
	require.ErrorIs(e.t, e.fails(end, "after Close"), fs.ErrClosed)
	_, err := c.Write([]byte("x"))
	require.ErrorIs(e.t, err, fs.ErrClosed)
	require.NoError(e.t, c.Close(), "again")

	other := e.open(nil)
	h, err := other.Guest(e.ctx, g.Name())
	require.NoError(e.t, err)
	end = reading(e.terminal(h, nil))
	require.NoError(e.t, other.Close())
	require.ErrorIs(e.t, e.fails(end, "after the end of the Host"), fs.ErrClosed)

	c = e.terminal(g, nil)
	end = reading(c)
	_, err = g.Stop(e.ctx, &provision.StopOptions{Force: true})
	require.NoError(e.t, err)
	require.ErrorIs(e.t, e.fails(end, "after the end of the guest"), io.EOF)
	_, err = c.Write([]byte("x"))
	require.Error(e.t, err)
	_, err = g.Console(e.ctx, nil)
	require.ErrorIs(e.t, err, provision.ErrState)
}
