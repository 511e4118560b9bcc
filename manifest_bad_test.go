package provision_test

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// mistakes takes the joined error of ReadManifest apart.
func mistakes(t *testing.T, err error) []*provision.ManifestError {
	t.Helper()
	require.ErrorIs(t, err, provision.ErrInvalid)
	if one, ok := err.(*provision.ManifestError); ok {
		return []*provision.ManifestError{one}
	}
	var list []*provision.ManifestError
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		one, ok := e.(*provision.ManifestError)
		require.True(t, ok, "%T is no ManifestError", e)
		list = append(list, one)
	}
	return list
}

func TestManifestMistakes(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		line, column int
		path, want   string
	}{
		{"unknown key", "name: a\nflavour: big\n", 2, 1, "flavour", "is not a known key; known are name, hostname, key, image, cpu"},
		{"unknown key inside", "nics:\n  - bridge: br0\n    speed: 1\n", 3, 5, "nics[0].speed", "known are bridge, vlan, mac"},
		{"snake case", "user_data: x\n", 1, 1, "user_data", "write userData"},
		{"kebab case", "cpu: {count: 1}\nmemory:\n  huge-pages: true\n", 3, 3, "memory.huge-pages", "write hugePages"},
		{"field name of Go", "NICs: []\n", 1, 1, "NICs", "write nics"},
		{"native", "native: {}\n", 1, 1, "native", "is not a known key"},
		{"key of null", "~: x\n", 1, 1, "~", "is not a known key"},
		{"repeated key", "name: a\nimage: i\nname: b\n", 3, 1, "name", "stands in line 1 already"},
		{"repeated label", "labels:\n  a: x\n  a: y\n", 3, 3, "labels.a", "stands in line 2 already"},
		{"list for mapping", "cpu: [2]\n", 1, 6, "cpu", "is a list; a mapping"},
		{"value for mapping", "cpu: 2\n", 1, 6, "cpu", "is a single value; a mapping"},
		{"mapping for list", "nics: {bridge: br0}\n", 1, 7, "nics", "is a mapping; a list"},
		{"name for address", "dns: {servers: [ns1]}\n", 1, 17, "dns.servers[0]", `"ns1" is not an address; write it as`},
		{"value for list", "dns:\n  servers: 192.0.2.53\n", 2, 12, "dns.servers", "is a single value; a list"},
		{"list for value", "name: [a]\n", 1, 7, "name", "is a list; a single value"},
		{"mapping for text", "userData: {a: b}\n", 1, 11, "userData", "is a mapping; a single value"},
		{"text for number", "cpu: {count: two}\n", 1, 14, "cpu.count", `"two" is not a whole number`},
		{"quoted number", "cpu: {count: \"2\"}\n", 1, 14, "cpu.count", `"2" is not a whole number`},
		{"float for int", "cpu: {count: 1.5}\n", 1, 14, "cpu.count", `"1.5" is not a whole number`},
		{"whole float for int", "nics: [{vlan: 42.0}]\n", 1, 15, "nics[0].vlan", `"42.0" is not a whole number`},
		{"float for uint", "limits: {processes: 2.7}\n", 1, 21, "limits.processes", `"2.7" is not a whole number`},
		{"negative float for uint", "limits: {processes: -2.7}\n", 1, 21, "limits.processes", `"-2.7" is not a whole number`},
		{"negative uint", "limits: {processes: -1}\n", 1, 21, "limits.processes", `"-1" is not a whole number`},
		{"infinite int", "cpu: {count: .inf}\n", 1, 14, "cpu.count", `".inf" is not a whole number`},
		{"too big", "cpu: {count: 99999999999999999999}\n", 1, 14, "cpu.count", "is not a whole number"},
		{"text for float", "cpu: {limit: much}\n", 1, 14, "cpu.limit", `"much" is not a number`},
		{"text for bool", "autostart: maybe\n", 1, 12, "autostart", `"maybe" is not true or false`},
		{"number for bool", "autostart: 1\n", 1, 12, "autostart", `"1" is not true or false`},
		{"text for switch", "nics: [{antiSpoof: strong}]\n", 1, 20, "nics[0].antiSpoof", "neither true nor false"},
		{"null in a switch", "nics: [{antiSpoof: \"null\"}]\n", 1, 20, "nics[0].antiSpoof", "neither true nor false"},
		{"null value", "name:\nimage: i\n", 1, 6, "name", "leave the key out"},
		{"null mapping", "cpu: ~\n", 1, 6, "cpu", "leave the key out"},
		{"null list", "nics: null\n", 1, 7, "nics", "leave the key out"},
		{"null label", "labels: {a: ~}\n", 1, 13, "labels.a", "leave the key out"},
		{"null in a list", "dns: {search: [~]}\n", 1, 16, "dns.search[0]", "leave the key out"},
		{"bare unit", "memory: {size: 2G}\n", 1, 16, "memory.size", "write bytes as 2GiB"},
		{"float amount", "memory: {size: 1.5}\n", 1, 16, "memory.size", "write bytes as"},
		{"bad rate", "nics: [{rate: {in: 100MB}}]\n", 1, 20, "nics[0].rate.in", "write rates as"},
		{"bad MAC", "nics: [{mac: 52:54}]\n", 1, 14, "nics[0].mac", "write it as 52:54:00:a1:b2:c3"},
		{"address without prefix", "nics: [{addresses: [192.0.2.1]}]\n", 1, 21, "nics[0].addresses[0]", "192.0.2.1"},
		{"bad gateway", "nics: [{gateways: [gw]}]\n", 1, 20, "nics[0].gateways[0]", "gw"},
		{"bad base64", "userData: base64:%%%\n", 1, 11, "userData", "not base64"},
		{"merge key", "cpu: &c {count: 1}\n---\ncpu:\n  <<: {count: 1}\n", 4, 3, "cpu", "merge keys"},
		{"alias as key", "name: &n key\n*n : x\n", 2, 1, "", "compound keys"},
		{"compound key", "? [a]\n: x\n", 1, 3, "", "compound keys"},
		{"binary tag", "userData: !!binary H4sA\n", 1, 11, "userData", "tag !!binary"},
		{"own tag", "name: !secret web1\n", 1, 7, "name", "tag !secret"},
		{"own tag on a mapping", "cpu: !thing {count: 1}\n", 1, 6, "cpu", "tag !thing"},
		{"set", "labels: !!set {a: b}\n", 1, 9, "labels", "tag !!set"},
		{"list at the top", "- name: a\n", 1, 1, "", "is a list; a mapping"},
		{"text at the top", "hello\n", 1, 1, "", "is a single value; a mapping"},
		{"null at the top", "null\n", 1, 1, "", "is empty"},
		{"empty", "", 1, 1, "", "the manifest is empty"},
		{"comments only", "# nothing\n\n# here\n", 1, 1, "", "the manifest is empty"},
		{"markers only", "---\n---\n", 1, 1, "", "the manifest is empty"},
		{"syntax", "name: a\n b: c: d\n", 2, 0, "", "mapping values are not allowed"},
		{"tab", "cpu:\n\tcount: 1\n", 2, 0, "", "cannot start any token"},
		{"unknown anchor", "name: *x\n", 0, 0, "", "unknown anchor"},
		{"NUL", "name: a\x00b\n", 0, 0, "", "control characters"},
		{"not UTF-8", "name: \xff\n", 0, 0, "", "UTF-8"},
		{"two columns, second document", "name: a\n---\n# c\nfoo: x\n", 4, 1, "foo", "is not a known key"},
		{"line with CRLF", "name: a\r\nfoo: x\r\n", 2, 1, "foo", "is not a known key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			specs, err := provision.ReadManifest(strings.NewReader(c.text))
			require.Nil(t, specs)
			list := mistakes(t, err)
			require.Len(t, list, 1, "%v", err)
			require.Equal(t, [2]int{c.line, c.column}, [2]int{list[0].Line, list[0].Column}, "%v", err)
			require.Equal(t, c.path, list[0].Path)
			require.Contains(t, list[0].Error(), c.want)
		})
	}
}

func TestManifestReportsAll(t *testing.T) {
	_, err := provision.ReadManifest(strings.NewReader("name: [a]\nfoo: 1\ncpu: {count: x, limit: y}\n---\nbar: 1\nname: b\nname: c\n---\n}"))
	var places []int
	for _, m := range mistakes(t, err) {
		places = append(places, m.Line)
	}
	require.Equal(t, []int{1, 2, 3, 3, 5, 7, 8}, places, "%v", err)

	_, err = provision.ReadManifest(strings.NewReader("- x\n---\na: &x [}\n"))
	require.Len(t, mistakes(t, err), 2)

	var many strings.Builder
	for range 1000 {
		many.WriteString("foo: 1\n---\n")
	}
	_, err = provision.ReadManifest(strings.NewReader(many.String()))
	require.Len(t, mistakes(t, err), 100)
}

// Hostile keys neither flood nor break the message.
func TestManifestHostileKeys(t *testing.T) {
	_, err := provision.ReadManifest(strings.NewReader("\"a\\n\\e[2J\": 1\n" + strings.Repeat("k", 900) + ": 1\nlabels: {\"x\\ny\": []}\n"))
	list := mistakes(t, err)
	require.Len(t, list, 3)
	for _, m := range list {
		require.Less(t, len(m.Error()), 400)
		require.NotContains(t, m.Error(), "\n")
		require.NotContains(t, m.Error(), "\x1b")
	}
}

// Secrets of the wrong type are not shown.
func TestManifestHidesSecrets(t *testing.T) {
	for _, text := range []string{
		"userData: [SECRET]", "userData: base64:SECRET%", "access: {passwordHash: [SECRET]}", "access: {authorizedKeys: SECRET}",
		"access: SECRET", "userData: !!binary SECRET", "access: {passwordHash: {a: SECRET}}", "userData: \"base64:\\nSECRET!\"",
	} {
		_, err := provision.ReadManifest(strings.NewReader(text))
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "SECRET")
	}
}

// What is built to be slow to read is answered promptly.
func TestManifestBombs(t *testing.T) {
	laughs := "labels: {a: &a [x,x,x,x,x,x,x,x,x]}\n"
	for i := 'b'; i < 'k'; i++ {
		laughs += "labels: {" + string(i) + ": &" + string(i) + " [" + strings.Repeat("*"+string(i-1)+",", 9) + "]}\n"
	}
	addresses := "[" + strings.Repeat("192.0.2.1/24,", 20_000) + "]"
	nics := "- &n {addresses: " + addresses + "}\n" + strings.Repeat("- *n\n", 20_000)
	for _, c := range []struct{ name, text, want string }{
		{"billion laughs", laughs, "list"},
		{"aliases of valid values", "nics:\n" + nics, "more than 1000000 values"},
		{"deep lists", "labels: {a: " + strings.Repeat("[", 100_000), ""},
		{"deep mappings", strings.Repeat("{a: ", 100_000), ""},
		{"deep blocks", "a:\n" + strings.Repeat("- ", 50_000) + "x", ""},
		{"alias of itself", "nics: &n [{addresses: *n}]", ""},
		{"mapping of itself", "labels: &l {a: *l}", "single value"},
		{"64 KiB key", strings.Repeat("k", 64<<10) + ": 1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			specs, err := provision.ReadManifest(strings.NewReader(c.text))
			require.Nil(t, specs)
			require.ErrorIs(t, err, provision.ErrInvalid)
			require.ErrorContains(t, err, c.want)
			require.Less(t, time.Since(begin), 20*time.Second)
			require.Less(t, len(err.Error()), 64<<10)
		})
	}
}

func TestManifestTooLong(t *testing.T) {
	specs, err := provision.ReadManifest(io.LimitReader(spaces{}, 17<<20))
	require.Nil(t, specs)
	require.ErrorContains(t, err, "has more than 4194304 bytes")
	require.Len(t, mistakes(t, err), 1)

	data := base64.StdEncoding.EncodeToString(make([]byte, 512<<10))
	require.Len(t, read(t, "userData: base64:"+data)[0].UserData, 512<<10)
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
