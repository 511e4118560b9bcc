package provision_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// badField is one mistake: where, what the message shows of the value, and a
// part of the text. A case without a path is valid.
type badField struct {
	name  string
	set   func(*provision.Spec)
	path  string
	value string
	text  string
}

func (c badField) run(t *testing.T) {
	t.Helper()
	s := small()
	c.set(&s)
	err := s.Validate()
	if c.path == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, provision.ErrInvalid)
	all := fieldErrors(err)
	require.Len(t, all, 1, "%v", err)
	require.Equal(t, c.path, all[0].Path)
	require.Equal(t, c.value, all[0].Value)
	require.Contains(t, all[0].Problem, c.text)
	require.Contains(t, err.Error(), c.path+": ")
	require.Less(t, len(err.Error()), 1000, "an error that no screen can show")
	require.NotContains(t, err.Error(), "\n")
}

// fieldErrors takes a joined error apart.
func fieldErrors(err error) []*provision.FieldError {
	if f, ok := err.(*provision.FieldError); ok {
		return []*provision.FieldError{f}
	}
	var list []*provision.FieldError
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			list = append(list, fieldErrors(err)...)
		}
	case interface{ Unwrap() error }:
		list = fieldErrors(e.Unwrap())
	}
	return list
}

func name(v string) func(*provision.Spec)     { return func(s *provision.Spec) { s.Name = v } }
func hostname(v string) func(*provision.Spec) { return func(s *provision.Spec) { s.Hostname = v } }
func key(v string) func(*provision.Spec)      { return func(s *provision.Spec) { s.Key = v } }
func image(v string) func(*provision.Spec)    { return func(s *provision.Spec) { s.Image = v } }

func cpu(v provision.CPU) func(*provision.Spec) { return func(s *provision.Spec) { s.CPU = v } }
func memory(v provision.Memory) func(*provision.Spec) {
	return func(s *provision.Spec) { s.Memory = v }
}
func disks(v ...provision.Disk) func(*provision.Spec) { return func(s *provision.Spec) { s.Disks = v } }

var long = strings.Repeat("a", 64<<10)

// clipped is what an error shows of a text that is too long.
func clipped(s string) string { return s[:60] + "…" }

func TestValidateNames(t *testing.T) {
	for _, c := range []badField{
		{"smallest", func(*provision.Spec) {}, "", "", ""},
		{"one letter", name("a"), "", "", ""},
		{"63 characters", name(long[:63]), "", "", ""},
		{"digits and a letter", name("1a1"), "", "", ""},
		{"empty", name(""), "name", "", "is required"},
		{"64 characters", name(long[:64]), "name", clipped(long), "1 to 63"},
		{"64 KiB", name(long), "name", clipped(long), "1 to 63"},
		{"number", name("1234"), "name", "1234", "at least one letter"},
		{"number with hyphen", name("12-34"), "name", "12-34", "at least one letter"},
		{"upper case", name("Web1"), "name", "Web1", "is not a name"},
		{"underscore", name("web_1"), "name", "web_1", "is not a name"},
		{"dot", name("web1.example"), "name", "web1.example", "is not a name"},
		{"leading hyphen", name("-web"), "name", "-web", "begins and ends"},
		{"trailing hyphen", name("web-"), "name", "web-", "begins and ends"},
		{"option", name("--force"), "name", "--force", "is not a name"},
		{"slash", name("../etc"), "name", "../etc", "is not a name"},
		{"space", name("web 1"), "name", "web 1", "is not a name"},
		{"newline at the end", name("web1\n"), "name", "web1\n", "is not a name"},
		{"NUL", name("web1\x00"), "name", "web1\x00", "is not a name"},
		{"quote", name(`web"1`), "name", `web"1`, "is not a name"},
		{"emoji", name("web😀"), "name", "web😀", "is not a name"},
		{"Cyrillic look-alike", name("wеb"), "name", "wеb", "is not a name"},
		{"Arabic digits", name("web١"), "name", "web١", "is not a name"},
		{"full-width", name("ｗｅｂ"), "name", "ｗｅｂ", "is not a name"},
		{"invalid UTF-8", name("web\xff"), "name", "web\xff", "is not a name"},

		{"host name", hostname("Web1.Example.NET"), "", "", ""},
		{"short host name", hostname("web1"), "", "", ""},
		{"host name of 253", hostname(strings.Repeat("a.", 126) + "a"), "", "", ""},
		{"host name of 255", hostname(strings.Repeat("a.", 127) + "a"), "hostname", clipped(strings.Repeat("a.", 99)), "at most 253"},
		{"empty label", hostname("web1..net"), "hostname", "web1..net", "joined by dots"},
		{"final dot", hostname("web1.net."), "hostname", "web1.net.", "is not a host name"},
		{"host name with underscore", hostname("web_1.net"), "hostname", "web_1.net", "is not a host name"},
		{"host name with newline", hostname("web1\nroot"), "hostname", "web1\nroot", "is not a host name"},
		{"Kelvin sign", hostname("\u212Aelvin.net"), "hostname", "\u212Aelvin.net", "is not a host name"},
		{"long s", hostname("web\u017F"), "hostname", "web\u017F", "is not a host name"},
		{"label of 64", hostname(long[:64] + ".net"), "hostname", clipped(long), "is not a host name"},

		{"key", key("order-4711/α 😀 \"x\""), "", "", ""},
		{"key of 255", key(long[:255]), "", "", ""},
		{"key of 256", key(long[:256]), "key", clipped(long), "has 256 bytes"},
		{"key with newline", key("a\nb"), "key", "a\nb", "control characters"},
		{"key with NUL", key("a\x00"), "key", "a\x00", "control characters"},
		{"key with ESC", key("\x1b[2J"), "key", "\x1b[2J", "control characters"},
		{"key not UTF-8", key("a\xff"), "key", "a\xff", "not UTF-8"},

		{"image", image("debian-12.1_x"), "", "", ""},
		{"image missing", image(""), "image", "", "is required"},
		{"image with path", image("../secret"), "image", "../secret", "is not an image's name"},
		{"image with dots", image("a..b"), "image", "a..b", "is not an image's name"},
		{"image hidden", image(".hidden"), "image", ".hidden", "begins and ends"},
		{"image upper case", image("Debian"), "image", "Debian", "is not an image's name"},
		{"image URL", image("https://x/y"), "image", "https://x/y", "is not an image's name"},
		{"image 64 KiB", image(long), "image", clipped(long), "1 to 63"},
	} {
		t.Run(c.name, c.run)
	}
}

func TestValidateAmounts(t *testing.T) {
	type (
		C = provision.CPU
		M = provision.Memory
		D = provision.Disk
	)
	const GiB = provision.GiB
	for _, c := range []badField{
		{"CPUs", cpu(C{Count: 1024, Limit: 1024, Weight: 10000}), "", "", ""},
		{"small limit", cpu(C{Limit: 0.01, Weight: 1}), "", "", ""},
		{"negative count", cpu(C{Count: -1}), "cpu.count", "-1", "from 1 to 1024"},
		{"huge count", cpu(C{Count: 1025}), "cpu.count", "1025", "from 1 to 1024"},
		{"tiny limit", cpu(C{Limit: 0.009}), "cpu.limit", "0.009", "from 0.01"},
		{"negative limit", cpu(C{Limit: -1}), "cpu.limit", "-1", "number of cores"},
		{"NaN", cpu(C{Limit: math.NaN()}), "cpu.limit", "NaN", "number of cores"},
		{"infinite", cpu(C{Limit: math.Inf(1)}), "cpu.limit", "+Inf", "number of cores"},
		{"minus infinite", cpu(C{Limit: math.Inf(-1)}), "cpu.limit", "-Inf", "number of cores"},
		{"denormal", cpu(C{Limit: 5e-324}), "cpu.limit", "5e-324", "number of cores"},
		{"negative weight", cpu(C{Weight: -1}), "cpu.weight", "-1", "1 to 10000"},
		{"pin", cpu(C{Pin: []int{0, 8191}}), "", "", ""},
		{"pin to nothing", cpu(C{Pin: []int{3, -1}}), "cpu.pin[1]", "-1", "0 to 8191"},
		{"pin too high", cpu(C{Pin: []int{8192}}), "cpu.pin[0]", "8192", "0 to 8191"},
		{"pin twice", cpu(C{Pin: []int{1, 1}}), "cpu.pin[1]", "1", "comes twice"},
		{"pin to too many", cpu(C{Pin: make([]int, 1025)}), "cpu.pin", "1025", "at most 1024"},
		{"huge weight", cpu(C{Weight: 10001}), "cpu.weight", "10001", "1 to 10000"},

		{"least memory", memory(M{Size: 16 * provision.MiB, Guaranteed: true, HugePages: true}), "", "", ""},
		{"too little memory", memory(M{Size: 16*provision.MiB - 1}), "memory.size", "16777215", "from 16MiB"},
		{"too much memory", memory(M{Size: math.MaxUint64}), "memory.size", "18446744073709551615", "to 64PiB"},
		{"swap", memory(M{Swap: 64 * provision.PiB}), "", "", ""},
		{"too much swap", memory(M{Swap: 65 * provision.PiB}), "memory.swap", "65PiB", "more than 64PiB"},

		{"root disk of the image's size", disks(D{}), "", "", ""},
		{"two disks", disks(D{}, D{Size: GiB}), "", "", ""},
		{"all limits", disks(D{Size: GiB, Inodes: 1e6, IOPS: 1e12, BPS: 64 * provision.PiB}), "", "", ""},
		{"data disk without size", disks(D{}, D{}), "disks[1].size", "", "is required"},
		{"tiny disk", disks(D{Size: 512}), "disks[0].size", "512", "from 1MiB"},
		{"huge disk", disks(D{Size: 65 * provision.PiB}), "disks[0].size", "65PiB", "to 64PiB"},
		{"odd disk", disks(D{Size: GiB + 1}), "disks[0].size", "1073741825", "multiple of 512"},
		{"bps", disks(D{BPS: 65 * provision.PiB}), "disks[0].bps", "65PiB", "more than"},
		{"iops", disks(D{IOPS: 1e12 + 1}), "disks[0].iops", "1000000000001", "more than 10^12"},
		{"17 disks", disks(make([]D, 17)...), "disks", "17", "at most 16"},
	} {
		t.Run(c.name, c.run)
	}
}

// Every field that is wrong is reported at once, each as a FieldError.
func TestValidateReportsAll(t *testing.T) {
	s := provision.Spec{
		Name: "Web1", Hostname: "-", Key: "\n", Image: "/", UserData: make([]byte, 512<<10+1),
		CPU: provision.CPU{Count: -1, Limit: -1, Weight: -1}, Memory: provision.Memory{Size: 1, Swap: math.MaxUint64},
		Disks:  []provision.Disk{{Size: 1, IOPS: math.MaxUint64, BPS: math.MaxUint64}, {}},
		NICs:   []provision.NIC{{VLAN: -1, AntiSpoof: 9}},
		DNS:    provision.DNS{Search: []string{""}},
		Access: provision.Access{User: "Root", AuthorizedKeys: []string{"x"}, PasswordHash: "x"},
		Labels: map[string]string{"": "", "a b": "", "ok": "\xff"}, Needs: provision.Needs{Residency: "no"},
		Native: badNative{},
	}
	err := s.Validate()
	var paths []string
	for _, f := range fieldErrors(err) {
		paths = append(paths, f.Path)
	}
	require.Equal(t, []string{
		"name", "hostname", "key", "image", "cpu.count", "cpu.limit", "cpu.weight", "memory.size", "memory.swap",
		"disks[0].size", "disks[0].bps", "disks[0].iops", "disks[1].size", "nics[0].bridge", "nics[0].vlan", "nics[0].antiSpoof",
		"dns.search[0]", "access.user", "access.authorizedKeys[0]", "access.passwordHash", "userData", "labels", "labels", "labels.ok",
		"needs.residency", "native.cache", "native",
	}, paths)
	var one *provision.FieldError
	require.True(t, errors.As(err, &one))
	require.Equal(t, "name", one.Path)
}

// badNative is wrong in one field and cannot be encoded.
type badNative struct{ F func() }

func (badNative) NativeKind() string { return "kvm" }

func (badNative) Validate() []*provision.FieldError {
	return []*provision.FieldError{{Path: "cache", Value: "unsafe", Problem: "loses data"}}
}

// A guest may start without an image only where Native says how.
func TestValidateNative(t *testing.T) {
	s := small()
	s.Image, s.Native = "", badNative{}
	all := fieldErrors(s.Validate())
	require.Len(t, all, 2)
	require.Equal(t, &provision.FieldError{Path: "native.cache", Value: "unsafe", Problem: "loses data"}, all[0])
	require.Equal(t, `native.cache: "unsafe" loses data`, all[0].Error())
	require.Contains(t, all[1].Problem, "cannot be encoded")
}
