package main

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestExec(t *testing.T) {
	m := withGuest(t)
	r := m.run("exec", "web1", "--", "true")
	require.Equal(t, exitState, r.code, r.stderr)
	m.ok("start", "web1")
	require.Equal(t, "-json  a\n", m.ok("exec", "web1", "--", "echo", "-json", "", "a"))
	require.Equal(t, "-json -l --\n", m.ok("exec", "web1", "echo", "-json", "-l", "--"), "flags behind the program are its own")
	require.Equal(t, "www\n", m.ok("exec", "web1", "-user", "www", "id", "-un"))
	require.Contains(t, m.ok("exec", "-env", "A=1", "-env", "B=x y", "web1", "--", "env"), "A=1\nB=x y\n")
	require.Equal(t, "www\n", m.ok("exec", "-user", "www", "web1", "--", "id", "-un"))
	require.Equal(t, "/srv\n", m.ok("exec", "-dir", "/srv", "web1", "--", "pwd"))
	require.Equal(t, "input", m.runWith(t.Context(), "input", "exec", "-i", "web1", "--", "cat").stdout)
	require.Empty(t, m.runWith(t.Context(), "input", "exec", "web1", "--", "cat").stdout, "without -i")

	r = m.run("exec", "web1", "--", "cat", "/nonexistent")
	require.Equal(t, result{exitProgram, "", "cat: /nonexistent: No such file or directory\nguestctl: exit status 1\n"}, r)
	r = m.run("-json", "exec", "web1", "--", "cat", "/nonexistent")
	require.Equal(t, exitProgram, r.code)
	require.Empty(t, r.stderr)
	require.Equal(t, execDoc{"web1", provision.ExecResult{Code: 1}, "", "cat: /nonexistent: No such file or directory\n"}, fromJSON[execDoc](t, r.stdout))
	require.Equal(t, exitInvalid, m.run("exec", "web1", "--", "/nonexistent/program").code)
	require.Equal(t, exitInvalid, m.run("exec", "-env", "A-B=1", "web1", "--", "env").code)
	require.Equal(t, exitFailed, m.run("-timeout", "50ms", "exec", "web1", "--", "tail", "-f", "/dev/null").code)
}

// watched is an output that can be waited for.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *watched) has(s string) func() bool {
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return strings.Contains(w.text.String(), s)
	}
}

func TestInteractiveConsole(t *testing.T) {
	m := withGuest(t)
	require.Equal(t, exitState, m.run("console", "-i", "web1").code)
	require.Equal(t, exitUsage, m.run("console", "-i", "web1", "-json").code, "it has no JSON form")
	m.ok("start", "web1")
	args := []string{"-backend", "sim", "-state", m.dir + "/state.json", "-lockdir", m.dir + "/locks", "console", "-i", "web1"}
	for name, end := range map[string]func(io.Closer){
		"the input ends":    func(c io.Closer) { require.NoError(t, c.Close()) },
		"the guest is gone": func(io.Closer) { m.ok("stop", "web1") },
	} {
		t.Run(name, func(t *testing.T) {
			m.ok("start", "web1")
			in, typed := io.Pipe()
			defer typed.Close()
			var out watched
			code := make(chan int, 1)
			go func() { code <- run(t.Context(), args, in, &out, io.Discard) }()
			_, err := io.WriteString(typed, "hello é\n")
			require.NoError(t, err)
			require.Eventually(t, out.has("ECHO hello é\n"), time.Minute, 5*time.Millisecond)
			end(typed)
			require.Zero(t, <-code)
		})
	}
}

// The input of a script has ended before the guest has answered.
func TestConsoleOfAScript(t *testing.T) {
	m := withGuest(t)
	m.ok("start", "web1")
	r := m.runWith(t.Context(), "echo hi\nand more\n", "console", "-i", "web1")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "ECHO echo hi\nECHO and more\n")
	require.Empty(t, r.stderr, "no person is there")
}

func TestLinger(t *testing.T) {
	heard, shown := make(chan struct{}, 1), make(chan error, 1)
	heard <- struct{}{}
	shown <- io.ErrUnexpectedEOF
	ended, err := linger(t.Context(), shown, heard)
	require.Equal(t, io.ErrUnexpectedEOF, err)
	require.True(t, ended)
	ended, err = linger(t.Context(), shown, heard)
	require.NoError(t, err)
	require.False(t, ended, "it is silent")
}

// A character that arrives in parts is shown whole.
func TestFollow(t *testing.T) {
	const text = "a é 😀\x1b[2J\xff end \xf0"
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
		var out parts
		require.NoError(t, follow(&out, r))
		require.Equal(t, text, strings.Join(out, ""))
		require.NotContains(t, out, "\xc3", "half an é")
		require.NotContains(t, out, "\xf0\x9f", "half a face")
	}
	broken := io.ErrUnexpectedEOF
	require.Equal(t, broken, follow(io.Discard, iotest.ErrReader(broken)))
}

// parts keeps what is written, each Write by itself.
type parts []string

func (p *parts) Write(text []byte) (int, error) {
	*p = append(*p, string(text))
	return len(text), nil
}
