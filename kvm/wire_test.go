package kvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// Types and states of libvirt's packets, from virnetprotocol.x.
const (
	call, reply, message, stream = 0, 1, 2, 3
	ok, failed, more             = 0, 1, 2
)

// pack writes a packet.
func pack(typ, serial, status uint32, body string) []byte {
	b := make([]byte, 28, 28+len(body))
	for i, word := range []uint32{uint32(28 + len(body)), 0x20008086, 1, 209, typ, serial, status} {
		binary.BigEndian.PutUint32(b[4*i:], word)
	}
	return append(b, body...)
}

// through sends bytes over a pipe, in pieces, and returns what a wire lets pass
// to a reader that takes pieces of another size.
func through(t *testing.T, in []byte, piece, buffer int) ([]byte, *wire, error) {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		for p := range slices.Chunk(in, piece) {
			if _, err := server.Write(p); err != nil {
				return
			}
		}
	}()
	return drained(&wire{Conn: client}, buffer)
}

// drained reads until an error, in pieces of a size.
func drained(w *wire, buffer int) ([]byte, *wire, error) {
	var out []byte
	p := make([]byte, buffer)
	for {
		n, err := w.Read(p)
		out = append(out, p[:n]...)
		if err != nil {
			return out, w, err
		}
	}
}

type traffic struct {
	name     string
	in, want [][]byte
}

func cases() []traffic {
	var (
		answer  = pack(reply, 7, ok, "answer")
		refused = pack(reply, 7, failed, "no such volume")
		event   = pack(message, 0, ok, "event")
		data    = pack(stream, 7, more, "data")
		empty   = pack(stream, 7, more, "")
		end     = pack(stream, 7, ok, "")
		abort   = pack(stream, 7, failed, "it broke")
		next    = pack(reply, 8, ok, "")
		other   = pack(stream, 8, more, "other")
		list    = func(p ...[]byte) [][]byte { return p }
	)
	same := func(name string, p ...[]byte) traffic { return traffic{name, p, p} }
	return []traffic{
		same("nothing"),
		same("a call", pack(call, 1, ok, "x"), answer),
		same("replies and events", answer, event, pack(reply, 8, ok, "longer than the header by much"), event, pack(reply, 9, failed, "")),
		same("a type of the future", pack(4, 7, ok, "fds"), pack(99, 0, 99, "")),
		same("upload", answer, end),
		same("download", answer, data, data, empty),
		same("download with events", answer, data, event, data, event, empty, event),
		same("a stream that fails", answer, data, abort),
		same("two streams", answer, data, empty, next, other, pack(stream, 8, more, "")),
		same("the same serial answered again", answer, end, pack(reply, 7, ok, "")),
		{"OK after the empty packet", list(answer, data, empty, end), list(answer, data, empty)},
		{"error after the empty packet", list(answer, data, empty, abort), list(answer, data, empty)},
		{"two OKs", list(answer, end, end), list(answer, end)},
		{"data after an error", list(answer, abort, data, empty, end), list(answer, abort)},
		{"the end of a stream before and after an event", list(answer, empty, event, end, event), list(answer, empty, event, event)},
		{"another stream after the end", list(answer, empty, next, end, other, end), list(answer, empty, next, other)},
		{"data before the reply", list(data, answer, data, empty), list(answer, data, data, empty)},
		{"a whole stream before the reply", list(data, data, empty, end, answer), list(answer, data, data, empty)},
		{"data before an event and the reply", list(data, event, answer), list(event, answer, data)},
		{"data before a refusal", list(data, refused), list(refused, data)},
		{"data of a call before", list(data, next, other), list(next, other)},
	}
}

func TestWire(t *testing.T) {
	for _, c := range cases() {
		in, want := bytes.Join(c.in, nil), bytes.Join(c.want, nil)
		for _, sizes := range [][2]int{{1, 1}, {1, 4096}, {3, 28}, {27, 1}, {28, 3}, {29, 29}, {4096, 4096}, {4096, 1}} {
			have, w, err := through(t, in, sizes[0], sizes[1])
			require.ErrorIs(t, err, io.EOF, c.name)
			require.Equal(t, string(want), string(have), "%s, written by %d, read by %d", c.name, sizes[0], sizes[1])
			require.True(t, w.ended.Load(), "%s: after EOF the connection is of no use", c.name)
		}
	}
}

// Cut at any byte, a packet that is not whole never passes, and the connection
// is marked.
func TestWireCut(t *testing.T) {
	whole := pack(reply, 1, ok, "first")
	both := append(bytes.Clone(whole), pack(reply, 2, ok, "second")...)
	for n := range both {
		have, w, err := through(t, both[:n], 7, 64)
		require.Error(t, err)
		require.True(t, lost(err), "cut after %d bytes: %v", n, err)
		require.True(t, w.ended.Load())
		want := ""
		if n >= len(whole) {
			want = string(whole)
		}
		require.Equal(t, want, string(have), "cut after %d bytes", n)
	}
}

// Lengths that no libvirtd sends end the connection before anything is read or
// allocated for them.
func TestWireLengths(t *testing.T) {
	for _, size := range []uint32{0, 1, 27, 32<<20 + 29, 1 << 31, 1<<32 - 1} {
		bad := pack(reply, 1, ok, "body")
		binary.BigEndian.PutUint32(bad, size)
		first := pack(reply, 1, ok, "")
		have, w, err := through(t, append(bytes.Clone(first), bad...), 64, 64)
		require.ErrorContains(t, err, fmt.Sprintf("a packet of %d bytes", size))
		require.True(t, lost(err))
		require.True(t, w.ended.Load())
		require.Equal(t, first, have)
	}
	large := pack(reply, 1, ok, string(make([]byte, 4<<20)))
	have, _, err := through(t, large, 1<<20, 1<<16)
	require.ErrorIs(t, err, io.EOF)
	require.True(t, bytes.Equal(large, have))
}

// A stream whose call is never answered is not kept without end.
func TestWireHoldsBounded(t *testing.T) {
	part := pack(stream, 5, more, string(make([]byte, 1<<20)))
	have, w, err := through(t, bytes.Repeat(part, 20), 1<<20, 64)
	require.ErrorContains(t, err, "without a reply")
	require.Empty(t, have)
	require.True(t, w.ended.Load())
	require.LessOrEqual(t, w.holding, maxHeld+len(part))
}

// The mark is set by whatever error a Read has, and not before.
func TestWireMark(t *testing.T) {
	client, server := net.Pipe()
	broken := errors.New("broken")
	w := &wire{Conn: faulty{client, io.MultiReader(bytes.NewReader(pack(reply, 1, ok, "x")), iotest.ErrReader(broken))}}
	n, err := w.Read(make([]byte, 100))
	require.NoError(t, err)
	require.Equal(t, 29, n)
	require.False(t, w.ended.Load())
	_, err = w.Read(make([]byte, 100))
	require.ErrorIs(t, err, broken)
	require.True(t, w.ended.Load())
	require.NoError(t, w.Close())
	_, err = server.Write([]byte("x"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

// faulty is a connection that reads from somewhere else.
type faulty struct {
	net.Conn
	r io.Reader
}

func (f faulty) Read(p []byte) (int, error) { return f.r.Read(p) }

// What went out is counted, and only that: a call of which nothing did is safe
// to repeat.
func TestWireCountsWhatGoesOut(t *testing.T) {
	client, server := net.Pipe()
	w := &wire{Conn: client}
	go func() { _, _ = io.CopyN(io.Discard, server, 3); server.Close() }()
	n, err := w.Write([]byte("abc"))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	_, err = w.Write([]byte("def"))
	require.Error(t, err)
	require.Equal(t, int64(3), w.sent.Load())
}
