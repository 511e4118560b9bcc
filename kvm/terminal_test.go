package kvm

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSlowReader: who reads a console too slowly loses the oldest part and is told,
// and never holds up who writes.
func TestSlowReader(t *testing.T) {
	term := newTerminal(io.NopCloser(nil))
	sink := incoming{term}
	part := bytes.Repeat([]byte("0123456789abcde\n"), 1<<12) // 64 KiB
	const parts = 40
	for range parts {
		n, err := sink.Write(part)
		require.NoError(t, err)
		require.Len(t, part, n)
		require.LessOrEqual(t, len(term.unread), maxUnread)
	}
	_, err := sink.Write([]byte("the end"))
	require.NoError(t, err)
	term.end(io.EOF)
	_, err = sink.Write([]byte("too late"))
	require.NoError(t, err, "the library must never see an error")
	text, err := io.ReadAll(term)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(text), "abcde\nthe end"))
	lost, rest, ok := strings.Cut(strings.TrimPrefix(string(text), "\r\n["), " bytes lost]\r\n")
	require.True(t, ok)
	require.Equal(t, parts*len(part)+len("the end"), atoi(t, lost)+len(rest), "nothing is lost without being counted")
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	for _, r := range s {
		require.True(t, r >= '0' && r <= '9', s)
		n = 10*n + int(r-'0')
	}
	return n
}

// TestTerminalEnds: the first reason counts, and Read gives what was there before.
func TestTerminalEnds(t *testing.T) {
	term := newTerminal(io.NopCloser(nil))
	_, err := incoming{term}.Write([]byte("last words"))
	require.NoError(t, err)
	broken := errors.New("broken")
	term.end(broken)
	term.end(io.EOF)
	buf := make([]byte, 100)
	n, err := term.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "last words", string(buf[:n]))
	_, err = term.Read(buf)
	require.Equal(t, broken, err)
	_, err = term.Write(buf)
	require.Equal(t, broken, err)
	_, err = opening{term}.Read(buf)
	require.Error(t, err, "the library's sender ends")
	n, err = term.Read(nil)
	require.NoError(t, err)
	require.Zero(t, n)

	term = newTerminal(io.NopCloser(nil))
	close(term.over)
	require.NoError(t, term.Close())
	_, err = term.Write(buf)
	require.ErrorIs(t, err, fs.ErrClosed)
}
