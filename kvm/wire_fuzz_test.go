package kvm

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// split takes bytes apart into packets; what is left is no whole packet.
func split(b []byte) (list []string) {
	for len(b) >= headerLen {
		size := binary.BigEndian.Uint32(b)
		if size < headerLen || int64(size) > int64(len(b)) {
			break
		}
		list = append(list, string(b[:size]))
		b = b[size:]
	}
	return list
}

// FuzzWire: whatever a peer sends, a wire passes whole packets of it and nothing
// else, each at most once; those that are no part of a stream all of them, and
// in order.
func FuzzWire(f *testing.F) {
	for _, c := range cases() {
		f.Add(bytes.Join(c.in, nil), uint8(16))
	}
	f.Add([]byte{0, 0, 0, 27}, uint8(1))
	f.Add(bytes.Repeat([]byte{0xff}, 64), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, buffer uint8) {
		out, w, err := drained(&wire{Conn: faulty{r: bytes.NewReader(in)}}, int(buffer)+1)
		require.Error(t, err)
		require.True(t, w.ended.Load())
		require.LessOrEqual(t, len(out), len(in))

		passed := split(out)
		total := 0
		left := map[string]int{}
		var plain, plainPassed []string
		for _, p := range split(in) {
			left[p]++
			if !isStream(p) {
				plain = append(plain, p)
			}
		}
		for _, p := range passed {
			total += len(p)
			left[p]--
			require.GreaterOrEqual(t, left[p], 0, "a packet that nobody sent")
			if !isStream(p) {
				plainPassed = append(plainPassed, p)
			}
		}
		require.Len(t, out, total, "a part of a packet")
		require.Equal(t, plain, plainPassed)
	})
}

func isStream(p string) bool { return binary.BigEndian.Uint32([]byte(p[16:])) == stream }
