package unpack

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
)

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a", "./a//b/.", "/", "..", "a/../b", ".wh.a", "a\x00", strings.Repeat("a/", 300), strings.Repeat("a", 300), ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := clean(s)
		if err != nil {
			require.True(t, errors.Is(err, ErrName) || errors.Is(err, ErrLayer), err)
			return
		}
		require.Equal(t, path.Clean("/"+s), path.Join("/", name))
		require.False(t, path.IsAbs(name))
		require.NotContains(t, strings.Split(name, "/"), "..")
		again, err := clean(name)
		require.NoError(t, err)
		require.Equal(t, name, again)
	})
}

// xzHeader is the header of a stream with CRC-32 for a check.
const xzHeader = "\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36"

func TestXzCutBetweenBlocks(t *testing.T) {
	_, err := io.ReadAll(newWindowGuard(bufio.NewReader(strings.NewReader(xzHeader))))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// The guard changes nothing, whatever it is given, and lets all pass that is an
// xz file.
func FuzzXzGuard(f *testing.F) {
	checks := []byte{xz.None, xz.CRC32, xz.CRC64, xz.SHA256}
	for _, size := range []int{0, 1, 100, 70000} {
		for i := range checks {
			content := bytes.Repeat([]byte("ab\n"), size/3)
			f.Add(content, uint8(i))
			f.Add(xzFile(f, content, checks[i]), uint8(i))
		}
	}
	f.Add([]byte(xzHeader), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, check uint8) {
		passed, err := io.ReadAll(newWindowGuard(bufio.NewReaderSize(bytes.NewReader(data), 4096)))
		require.True(t, bytes.HasPrefix(data, passed))
		if err == nil {
			require.Len(t, passed, len(data))
		}
		if len(data) > 100<<10 {
			return
		}
		file := xzFile(t, data, checks[int(check)%len(checks)])
		file = append(append(file, 0, 0, 0, 0), file...)
		passed, err = io.ReadAll(newWindowGuard(bufio.NewReaderSize(bytes.NewReader(file), 4096)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(file, passed))
	})
}

func xzFile(tb testing.TB, content []byte, check byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := xz.WriterConfig{CheckSum: check, NoCheckSum: check == xz.None, BlockSize: 30000, DictCap: 1 << 16}.NewWriter(&b)
	require.NoError(tb, err)
	_, err = w.Write(content)
	require.NoError(tb, errors.Join(err, w.Close()))
	return b.Bytes()
}
