//go:build linux

package lxc

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadStat(t *testing.T) {
	s, err := readStat(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, os.Getppid(), s.parent)
	require.NotZero(t, s.started)
	for _, bad := range []string{"", "1 (x) Z", ")", "1 (a) S 1 2 x" + strings.Repeat(" 0", 50)} {
		_, err := parseStat(bad)
		require.Error(t, err, "%q", bad)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("8885 (a) b) Z 8883 5357 20377 0 -1 4227084 86 0 0 0 0 0 0 0 20 0 1 0 3723361 0 0 18446744073709551615 0 0 0 0 0 0 0 6 65536 1 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 1792")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStat(text); err == nil && s.state == 0 {
			t.Error("no state")
		}
	})
}

func TestFindUser(t *testing.T) {
	const text = "root:x:0:0:root:/root:/bin/sh\n\nx:bad\nweb:x:33:34:,,,:/srv/web:/bin/false\nodd:x:1:1::rel:/\nhuge:x:65536:1::/:/\n+::::::\n"
	for name, want := range map[string]user{"root": {0, 0, "/root"}, "web": {33, 34, "/srv/web"}, "odd": {1, 1, "/"}} {
		u, ok := findUser(text, name)
		require.True(t, ok, name)
		require.Equal(t, want, u)
	}
	for _, name := range []string{"x", "huge", "nobody", "roo"} {
		_, ok := findUser(text, name)
		require.False(t, ok, name)
	}
}

func FuzzFindUser(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n", "root")
	f.Fuzz(func(t *testing.T, text, name string) {
		u, ok := findUser(text, name)
		if ok && (u.uid < 0 || u.uid >= idBlock || u.gid < 0 || u.gid >= idBlock || u.home == "" || u.home[0] != '/') {
			t.Errorf("%+v", u)
		}
	})
}
