//go:build linux

package testrig_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/testrig"
)

// TestRawFrames: a frame of a guest arrives to the byte, VLAN tag included.
func TestRawFrames(t *testing.T) {
	l := start(t, t.TempDir())
	install(t, l)
	boot(t, l, "sender", "52:54:00:a1:b2:01", "")
	c, err := l.Capture("br0")
	require.NoError(t, err)
	defer c.Close()
	tty, err := os.OpenFile(virsh(t, l, "ttyconsole", "sender"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer tty.Close()
	for id, kind := range [][]byte{{0x88, 0xb5}, {0x81, 0x00, 0x20, 0x07, 0x88, 0xb5}} {
		frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, byte(id)}, kind...)
		frame = append(frame, bytes.Repeat([]byte("some of the payload "), 3)...)
		_, err = tty.WriteString(testrig.RunLine(id, testrig.SendCommand(2, frame)))
		require.NoError(t, err)
		waitConsole(t, l, "sender", testrig.RanLine(id)+"0")
		for deadline := time.Now().Add(40 * time.Second); ; {
			have, err := c.Next(deadline)
			require.NoError(t, err, "frame %d", id)
			if bytes.Equal(have[6:12], frame[6:12]) {
				require.Equal(t, frame, have)
				break
			}
		}
	}
	_, err = c.Next(time.Now())
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = l.Capture("none0")
	require.Error(t, err)
}
