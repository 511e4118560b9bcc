package lxc

import (
	"bytes"
	"compress/gzip"
	"math"
	"strings"
	"testing"

	"github.com/guestforge/provision/internal/hostfs"
	"github.com/stretchr/testify/require"
)

func TestParseKernelConfig(t *testing.T) {
	const text = "# Linux/x86 6.1.0 Kernel Configuration\nCONFIG_VETH=m\nCONFIG_NET_NS=y\r\n# CONFIG_A is not set\nCONFIG_HZ=250\nCONFIG_S=\"y\"\nXCONFIG_B=y\nCONFIG_C=n\n  CONFIG_D=y"
	want := map[string]string{"CONFIG_VETH": "m", "CONFIG_NET_NS": "y", "CONFIG_D": "y"}
	require.Equal(t, want, parseKernelConfig([]byte(text)))
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.Equal(t, want, parseKernelConfig(hostfs.Unzipped(zipped.Bytes())))
	require.Empty(t, parseKernelConfig(hostfs.Unzipped(zipped.Bytes()[:30])), "what is torn is not known")
}

func TestParseModules(t *testing.T) {
	have := parseModules("kernel/net/8021q/8021q.ko.xz: kernel/net/802/mrp.ko.xz\nkernel/x/nf-nat.ko:\nkernel/y/a.ko.zst\nnone\n\n")
	require.Equal(t, map[string]bool{"8021q": true, "nf_nat": true, "a": true}, have)
	require.Nil(t, parseModules(""))
}

func TestParseKernelVersion(t *testing.T) {
	for name, want := range map[string]int{"6.1.0-50-cloud-amd64": 6001, "3.10.0-1160.el7": 3010, "5.19": 5019, "": 0, "next": 0, "99999999999.1": 0} {
		require.Equal(t, want, parseKernelVersion(name), name)
	}
}

func TestFeatureVersions(t *testing.T) {
	f := feature{from: 4007, before: 5000}
	for version, want := range map[int]bool{4006: false, 4007: true, 4019: true, 5000: false, 0: false} {
		require.Equal(t, want, f.applies(version), version)
	}
	require.True(t, (&feature{}).applies(0))
}

// TestOption: the evidence for a module, in its order.
func TestOption(t *testing.T) {
	const list = "-- lib/modules/6.1.0/modules.dep --\nkernel/a.ko: \n-- lib/modules/6.1.0/modules.builtin --\nkernel/b.ko\n"
	config := func(s string) string { return "-- boot/config-6.1.0 --\nCONFIG_OTHER=y\n" + s + "\n" }
	for name, tt := range map[string]struct {
		tree, module string
		want         verdict
	}{
		"loaded":                    {"-- proc/modules --\na 1 0 - Live 0x0\n", "a", present},
		"in sys":                    {"-- sys/module/a d755 --\n", "a", present},
		"on disk":                   {list + config("CONFIG_A=m"), "a", loadable},
		"part of the kernel":        {list, "b", present},
		"no file":                   {list + config("CONFIG_A=m"), "c", absent},
		"no file, not told":         {list, "c", absent},
		"y":                         {config("CONFIG_A=y"), "a", present},
		"y, with no file":           {list + config("CONFIG_A=y"), "c", present},
		"m, with no list":           {config("CONFIG_A=m"), "a", notKnown},
		"not set":                   {config("# CONFIG_A is not set"), "a", absent},
		"nothing":                   {"", "a", notKnown},
		"nothing of no module":      {"", "", notKnown},
		"no module is told by none": {list, "", notKnown},
	} {
		t.Run(name, func(t *testing.T) {
			m := parseTold(t, "-- proc/sys/kernel/osrelease --\n6.1.0\n"+tt.tree).machine()
			v, seen := (&examination{machine: m, kernel: readKernel(m)}).option("CONFIG_A", tt.module)
			require.Equal(t, tt.want, v, seen)
			require.NotEmpty(t, seen)
		})
	}
}

// TestKernelConfigPlaces: each place is looked at, the running kernel's own first.
func TestKernelConfigPlaces(t *testing.T) {
	places := []string{"proc/config.gz", "lib/modules/6.1.0/build/.config", "boot/config-6.1.0", "lib/modules/6.1.0/config"}
	for i := range places {
		text := "-- proc/sys/kernel/osrelease --\n6.1.0\n"
		for _, p := range places[i:] {
			text += "-- " + p + " --\nCONFIG_A=y\n"
		}
		require.Equal(t, "/"+places[i], readKernel(parseTold(t, text).machine()).source)
	}
}

func TestBelow(t *testing.T) {
	require.True(t, below("/a", "/"))
	require.False(t, below("/", "/"))
	require.False(t, below("/ab", "/a"))
}

func TestSubordinate(t *testing.T) {
	list := parseSubordinate("root:1000:10\n# root:1:1\nroot:1010:5\n0:1015:5\nadmin:1020:5\nroot:x:1\nroot:1:0\nroot:-1:5\nroot:4294967290:10\n:1:1\nroot:1\n")
	require.Len(t, list, 4)
	for r, want := range map[idRange]bool{{1000, 20}: true, {1005, 10}: true, {999, 2}: false, {1000, 21}: false, {1020, 1}: false, {5000, 1}: false} {
		require.Equal(t, want, covers(list, r), r)
	}
}

func TestParseCgroups(t *testing.T) {
	require.Equal(t, map[string]bool{"cpu": true, "memory": false}, parseCgroups("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory 0 1 0\nbad\n"))
	require.Nil(t, parseCgroups(""))
}

func TestParseChains(t *testing.T) {
	closed, docker, err := parseChains([]byte(`{"nftables": [{"metainfo": {}},
		{"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
		{"chain": {"family": "inet", "table": "t", "name": "f", "hook": "forward", "policy": "accept"}},
		{"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
		{"chain": {"family": "netdev", "table": "p", "name": "f", "hook": "ingress", "policy": "drop"}}]}`))
	require.NoError(t, err)
	require.False(t, docker)
	require.Equal(t, []string{"ip filter FORWARD"}, closed)
	_, _, err = parseChains([]byte("nothing"))
	require.Error(t, err)
}

func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{{"5.0.1", "5.0.2", true}, {"5.0.2", "5.0.2", false}, {"5.0", "5.0.2", true}, {"6.0.0", "5.0.2", false}, {"5.0.10", "5.0.2", false}, {"5.0.2-devel", "5.0.2", false}, {"4.99", "5.0.2", true}, {"", "5", true}} {
		require.Equal(t, tt.want, older(tt.a, tt.b), "%+v", tt)
	}
}

func TestParseTasks(t *testing.T) {
	for text, want := range map[string]uint64{"0.05 0.31 1.77 1/203 4711": 203, "": 0, "1 2 3 4 5": 0, "1 2 3 1/x 5": 0} {
		require.Equal(t, want, parseTasks(text), text)
	}
}

func TestWords(t *testing.T) {
	require.Equal(t, "a, b", some([]string{"a", "b"}))
	require.Equal(t, "a, a, a, a, a, a, a, a and 2 more", some(strings.Fields(strings.Repeat("a ", 10))))
	require.Equal(t, "a b", oneLine(" a\n\tb "))
	require.Less(t, len(oneLine(strings.Repeat("ä", 1000))), 310)
	require.Equal(t, ".", inside("/"))
	require.Equal(t, "a/b", inside("/a/b"))
}

func FuzzParseKernelConfig(f *testing.F) {
	f.Add([]byte("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, value := range parseKernelConfig(hostfs.Unzipped(text)) {
			require.True(t, strings.HasPrefix(name, "CONFIG_"))
			require.Contains(t, []string{"y", "m"}, value)
			require.NotContains(t, name, "\n")
		}
	})
}

func FuzzParseSubordinate(f *testing.F) {
	f.Add("root:100000:65536\nadmin:1:1\n", uint32(100000), uint32(65536))
	f.Add("root:0:4294967295", uint32(0), uint32(1))
	f.Fuzz(func(t *testing.T, text string, first, count uint32) {
		list := parseSubordinate(text)
		whole := false
		for _, s := range list {
			require.NotEmpty(t, s.who)
			require.NotZero(t, s.count)
			require.LessOrEqual(t, s.first+s.count, uint64(math.MaxUint32))
			whole = whole || (s.who == "root" || s.who == "0") && s.first <= uint64(first) && s.first+s.count >= uint64(first)+uint64(count)
		}
		if whole {
			require.True(t, covers(list, idRange{uint64(first), uint64(count)}))
		}
		if list == nil && count > 0 {
			require.False(t, covers(list, idRange{uint64(first), uint64(count)}))
		}
	})
}

func FuzzParseChains(f *testing.F) {
	f.Add([]byte(`{"nftables": [{"chain": {"family": "ip", "table": "f", "name": "F", "hook": "forward", "policy": "drop"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		closed, _, _ := parseChains(text)
		for _, c := range closed {
			require.NotContains(t, c, "\n")
		}
	})
}
