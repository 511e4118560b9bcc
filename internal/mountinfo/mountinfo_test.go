package mountinfo_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/mountinfo"
)

const table = `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 35 0:1 / /a\040b\134\012\9 ro shared:1 propagate_from:2 - overlay t\x rw,upperdir=/x\040y
38 35 0:53 / /m rw - tmpfs  rw
`

func TestParse(t *testing.T) {
	list, err := mountinfo.Parse([]byte(table))
	require.NoError(t, err)
	require.Equal(t, []mountinfo.Mount{
		{ID: 36, Root: "/mnt1", Point: "/mnt2", Options: []string{"rw", "noatime"}, Type: "ext3", Source: "/dev/root", Super: []string{"rw", "errors=continue"}},
		{ID: 37, Root: "/", Point: "/a b\\\n\\9", Options: []string{"ro"}, Type: "overlay", Source: `t\x`, Super: []string{"rw", `upperdir=/x\040y`}},
		{ID: 38, Root: "/", Point: "/m", Options: []string{"rw"}, Type: "tmpfs", Super: []string{"rw"}}, // mount -t tmpfs "" /m
	}, list)
	upper, ok := list[1].Option("upperdir")
	require.True(t, ok)
	require.Equal(t, "/x y", upper)
	_, ok = list[0].Option("upperdir")
	require.False(t, ok)
	require.True(t, list[0].Has("noatime"))
	require.True(t, list[0].Has("errors=continue"))
	require.False(t, list[0].Has("ro"))
	for _, bad := range []string{"bad\n", "38 35 0:1 / /c rw tmpfs tmpfs rw\n", "39 35 0:1 / - tmpfs tmpfs rw\n", "x 35 0:1 / /c rw - tmpfs tmpfs rw\n", "40 35 0:1 / /c rw - tmpfs tmpfs\n"} {
		_, err := mountinfo.Parse([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestOf(t *testing.T) {
	list := []mountinfo.Mount{{Point: "/"}, {Point: "/var", Type: "a"}, {Point: "/var/lib/lx"}, {Point: "/var", Type: "b"}, {Point: "/var/lib/lxc/x"}}
	require.Equal(t, "b", mountinfo.Of(list, "/var/lib/lxc").Type, "the one on top")
	require.Equal(t, "/", mountinfo.Of(list, "/srv").Point)
	require.Equal(t, "/", mountinfo.Of(list, "/").Point)
	require.Equal(t, "/var/lib/lxc/x", mountinfo.Of(list, "/var/lib/lxc/x").Point)
	require.Nil(t, mountinfo.Of(list[1:2], "/srv"))
	require.Nil(t, mountinfo.Of(list[1:2], "/variable"))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(table))
	f.Add([]byte(`1 1 1:1 / \ rw - a b\04 c`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := mountinfo.Parse(text)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(list), bytes.Count(text, []byte("\n"))+1)
		for _, m := range list {
			require.NotEmpty(t, m.Options)
			require.NotEmpty(t, m.Super)
			require.NotNil(t, mountinfo.Of(list, m.Point))
		}
	})
}
