package rootfs

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// others are the lines of a text that a change must leave, in their order.
func others(text []byte, meant func(line string) bool) []string {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	return slices.DeleteFunc(lines, func(l string) bool { return meant(l) || l == "" })
}

func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1\tlocalhost\n127.0.1.1 old\n::1 localhost\n"))
	f.Add([]byte("127.0.0.1 localhost"))
	f.Add([]byte("\n\n#127.0.1.1 x\r\n 127.0.1.1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const want = "127.0.1.1\tweb1.example.net web1"
		out := setHosts(data, "web1.example.net")
		require.Contains(t, strings.Split(string(out), "\n"), want)
		require.Equal(t, string(out), string(setHosts(out, "web1.example.net")), "twice")
		first := true
		old := func(l string) bool { // the first line of that address is replaced
			if first && field(l, 0) == "127.0.1.1" {
				first = false
				return true
			}
			return false
		}
		before := others(data, old)
		first = true
		require.Equal(t, before, others(out, old))
	})
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n"))
	f.Add([]byte("root:x:0:0:root:/root:/bin/sh"))
	f.Add([]byte("+::::::\n\n# web\nweb:x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := parseTable("/etc/passwd", data, 7)
		if err != nil {
			require.Contains(t, string(data), "\x00")
			return
		}
		require.Equal(t, string(data), string(table.bytes()), "untouched")
		i, fields, err := table.find("web")
		if err != nil {
			return
		}
		meant := func(l string) bool { return strings.HasPrefix(l, "web:") }
		before := others(data, meant)
		if fields == nil {
			table.add("web", "x", "1000", "1000", "", "/home/web", "/bin/sh")
		} else {
			fields[1] = "y"
			table.set(i, fields)
		}
		again, err := parseTable("/etc/passwd", table.bytes(), 7)
		require.NoError(t, err)
		_, fields, err = again.find("web")
		require.NoError(t, err)
		require.Len(t, fields, 7)
		require.Equal(t, before, others(table.bytes(), meant))
	})
}

func FuzzGroupMember(f *testing.F) {
	f.Add([]byte("sudo:x:27:\n"))
	f.Add([]byte("root:x:0:\nsudo:x:27:a,b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := parseTable("/etc/group", data, 4)
		if err != nil {
			return
		}
		in, err := table.member("sudo", "web")
		if err != nil || !in {
			require.Equal(t, string(data), string(table.bytes()))
			return
		}
		_, fields, err := table.find("sudo")
		require.NoError(t, err)
		require.Contains(t, strings.Split(fields[3], ","), "web")
		meant := func(l string) bool { return strings.HasPrefix(l, "sudo:") }
		require.Equal(t, others(data, meant), others(table.bytes(), meant))
	})
}

func FuzzInterfaces(f *testing.F) {
	block := blockBegin + "\nauto eth0\niface eth0 inet manual\n    up ip link set eth0 up\n" + blockEnd + "\n"
	f.Add([]byte("auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n\thostname x\nsource-directory interfaces.d\n"))
	f.Add([]byte("iface eth0 inet \\\n dhcp"))
	f.Add([]byte("# x\\\nauto eth0"))
	f.Add([]byte(block + "auto eth0\n"))
	f.Add([]byte(blockBegin + "\nauto lo\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out := setInterfaces(data, []string{"eth0"}, block)
		require.Equal(t, 1, strings.Count(string(out), block))
		require.Equal(t, string(out), string(setInterfaces(out, []string{"eth0"}, block)), "twice")
		outside := strings.Replace(string(out), block, "", 1)
		for _, l := range logicalLines(outside) {
			require.False(t, field(l, 0) == "iface" && field(l, 1) == "eth0", "%q", l)
		}
		if !strings.Contains(string(data), "eth0") && !strings.Contains(string(data), blockBegin) {
			require.Equal(t, strings.TrimRight(string(data), "\n"), strings.TrimRight(outside, "\n"), "nothing of it is meant")
		}
	})
}
