package provisiontest

import (
	"bytes"
	"io"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// execTerminal checks terminals in a guest in which programs can be run.
func (e *env) execTerminal(g *provision.Guest) {
	run := func(o provision.ExecOptions, argv ...string) (string, error) {
		var out bytes.Buffer
		o.Stdout = &out
		if o.TTY == nil {
			o.TTY = new(provision.Terminal)
		}
		_, err := g.Exec(e.ctx, argv, &o)
		return out.String(), err
	}
	if !e.declared(provision.FeatureExecTTY, func() error { _, err := run(provision.ExecOptions{}, "true"); return err }) {
		return
	}
	out, err := run(provision.ExecOptions{}, "stty", "size")
	require.NoError(e.t, err)
	require.Equal(e.t, "24 80\r\n", out, "the default, and the line ends of terminals")
	size := provision.TerminalSize{Rows: 30, Cols: 100}
	out, err = run(provision.ExecOptions{TTY: &provision.Terminal{Size: size}}, "stty", "size")
	require.NoError(e.t, err)
	require.Equal(e.t, "30 100\r\n", out)

	out, err = run(provision.ExecOptions{}, "cat", "/nonexistent/file")
	require.NoError(e.t, err)
	require.Contains(e.t, out, "/nonexistent/file", "both streams are one")
	out, err = run(provision.ExecOptions{Stdin: strings.NewReader("typed\n")}, "cat")
	require.NoError(e.t, err, "the end of what is typed is the end of the input")
	require.Contains(e.t, out, "typed\r\n")

	silent, keep := io.Pipe()
	_, err = run(provision.ExecOptions{Stdin: silent}, "true")
	require.NoError(e.t, err, "the program ends though nobody types")
	_, err = keep.Write([]byte("x"))
	require.ErrorIs(e.t, err, io.ErrClosedPipe, "its input was closed")

	e.terminalSizes(run)
	_, err = run(provision.ExecOptions{Stderr: io.Discard}, "true")
	e.refused(err, "stderr")
}

// terminalSizes changes the size of a terminal: when the same size was taken twice,
// it has been set once.
func (e *env) terminalSizes(run func(provision.ExecOptions, ...string) (string, error)) {
	sizes := make(chan provision.TerminalSize)
	typed, keys := io.Pipe()
	go func() {
		for range 2 {
			select {
			case sizes <- provision.TerminalSize{Rows: 50, Cols: 132}:
			case <-e.ctx.Done():
			}
		}
		close(sizes)
		_, _ = io.WriteString(keys, "go\n") // who cannot read it fails below
	}()
	out, err := run(provision.ExecOptions{Stdin: typed, TTY: &provision.Terminal{Sizes: sizes}}, "sh", "-c", "read line; stty size")
	require.NoError(e.t, err)
	require.Contains(e.t, out, "50 132\r\n")
}
