package provision

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// maxRecordTested is what Record promises backends at most.
const maxRecordTested = 512 << 10

// leaf is one field of a Spec that holds a value, found by reflection: a field
// that is added later is tested without anybody thinking of it.
type leaf struct {
	path string
	at   func(*Spec) reflect.Value
}

// full is a Spec with one element in every list, so that every field exists.
func full() *Spec {
	return &Spec{
		CPU: CPU{Pin: []int{3}}, Disks: make([]Disk, 1), Labels: map[string]string{"a": "x"}, UserData: UserData("x"),
		NICs: []NIC{{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}, Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}},
		DNS:  DNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.3")}, Search: []string{"x"}}, Access: Access{AuthorizedKeys: []string{"x"}},
		Native: &fakeNative{Secret: "x"},
	}
}

func leaves() []leaf {
	return walkFields(nil, reflect.TypeFor[Spec](), "", func(s *Spec) reflect.Value { return reflect.ValueOf(s).Elem() })
}

func walkFields(list []leaf, typ reflect.Type, path string, at func(*Spec) reflect.Value) []leaf {
	ours := func(t reflect.Type) bool {
		return t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Spec]().PkgPath()
	}
	switch {
	case ours(typ):
		for i := range typ.NumField() {
			f := typ.Field(i)
			list = walkFields(list, f.Type, strings.TrimPrefix(path+"."+lowerCamel(f.Name), "."), func(s *Spec) reflect.Value { return at(s).Field(i) })
		}
		return list
	case typ.Kind() == reflect.Slice && ours(typ.Elem()):
		return walkFields(list, typ.Elem(), path, func(s *Spec) reflect.Value { return at(s).Index(0) })
	}
	return append(list, leaf{path, at})
}

// change gives a field another value that is not zero.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *netip.Addr:
		*x = netip.MustParseAddr("2001:db8::1")
		return
	case *netip.Prefix:
		*x = netip.MustParsePrefix("2001:db8::1/64")
		return
	case *Native:
		*x = &fakeNative{Secret: "changed"}
		return
	case *Switch:
		*x = On
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "y")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int8:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 0.5)
	case reflect.Array, reflect.Slice:
		change(t, v.Index(0))
	case reflect.Map:
		v.SetMapIndex(reflect.ValueOf("a"), reflect.ValueOf("changed"))
	default:
		t.Fatalf("a new kind of field, %s: teach this test to change it", v.Type())
	}
}

func TestSpecLeaves(t *testing.T) {
	var paths []string
	for _, l := range leaves() {
		paths = append(paths, l.path)
	}
	require.Greater(t, len(paths), 35)
	for _, p := range []string{"name", "cpu.limit", "disks.iops", "nics.rate.in", "nics.antiSpoof", "dns.search", "access.passwordHash", "userData", "needs.strict", "native"} {
		require.Contains(t, paths, p)
	}
}

// Every field of a Spec makes it another Spec: the same Key with any change is
// a conflict, and none is overlooked.
func TestEveryFieldChangesTheDigest(t *testing.T) {
	was := requestDigest(idA, full())
	for _, l := range leaves() {
		s := full()
		change(t, l.at(s))
		require.NotEqual(t, was, requestDigest(idA, s), l.path)
	}
	big, bigger := full(), full()
	big.Limits.Processes, bigger.Limits.Processes = math.MaxUint64-1, math.MaxUint64
	require.NotEqual(t, requestDigest(idA, big), requestDigest(idA, bigger))
}

// A copy shares nothing with its Spec but Native.
func TestEveryFieldIsCopied(t *testing.T) {
	for _, l := range leaves() {
		if l.path == "native" {
			continue
		}
		s := full()
		c := s.Copy()
		require.Equal(t, full(), &c, l.path)
		change(t, l.at(&c))
		require.Equal(t, full(), s, "changing %s of a copy changes the Spec", l.path)
	}
}

// fromHost are the fields that every backend gets from Host, or that come with
// a feature of their own: no Feature of its own says whether they are honoured.
var fromHost = map[string]string{
	"name":         "every backend has names",
	"key":          "kept in the record",
	"labels":       "kept in the record",
	"needs.strict": "judged by Host from the limits",
	"nics.bridge":  "part of nics",
	"nics.mac":     "part of nics",
}

// Every field that is set is either seen as a feature that a host must support,
// or known to need none. Otherwise a backend would ignore it in silence.
func TestEveryFieldIsAFeature(t *testing.T) {
	used := map[string]bool{}
	for _, l := range leaves() {
		s := &Spec{Disks: make([]Disk, 1), NICs: make([]NIC, 1)}
		before := s.Features()
		if v := l.at(s); v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
			v.Set(l.at(full()))
		} else {
			change(t, v)
		}
		if why, ok := fromHost[l.path]; ok {
			require.Equal(t, before, s.Features(), "%s: %s", l.path, why)
			used[l.path] = true
			continue
		}
		require.Greater(t, len(s.Features()), len(before), "nobody asks whether %s is honoured", l.path)
	}
	require.Len(t, used, len(fromHost), "fromHost names a field that is gone")
	require.Equal(t, []Feature{FeatureDataDisks}, (Spec{Disks: make([]Disk, 2)}).Features())
	require.Equal(t, []Feature{FeatureNICs}, (Spec{NICs: make([]NIC, 1)}).Features())
	require.Empty(t, (Spec{Name: "a", Key: "k"}).Features())
}

// Features lists each feature once, sorted, and every one that a Spec can use.
func TestFeatures(t *testing.T) {
	all := Features()
	require.True(t, slices.IsSorted(all))
	require.Len(t, slices.Compact(slices.Clone(all)), len(all))
	s := full()
	for _, l := range leaves() {
		change(t, l.at(s))
	}
	s.Disks = append(s.Disks, Disk{})
	for _, f := range s.Features() {
		require.Contains(t, all, f)
	}
	for f := range verbs {
		require.Contains(t, all, f)
	}
}

// The names in YAML and JSON are the fields' own in lowerCamelCase.
func TestSpecNames(t *testing.T) {
	var check func(reflect.Type)
	check = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			js, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			ym, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			want := lowerCamel(f.Name)
			if f.Type == reflect.TypeFor[Native]() {
				want = "-"
			}
			require.Equal(t, [2]string{want, want}, [2]string{js, ym}, "%s.%s", typ.Name(), f.Name)
			elem := f.Type
			if elem.Kind() == reflect.Slice {
				elem = elem.Elem()
			}
			if elem.Kind() == reflect.Struct && elem.PkgPath() == typ.PkgPath() {
				check(elem)
			}
		}
	}
	check(reflect.TypeFor[Spec]())
}

// lowerCamel: UserData is userData, CPU is cpu, NICs is nics.
func lowerCamel(name string) string {
	run := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsUpper(r) })
	switch {
	case run < 0 || name[run:] == "s":
		return strings.ToLower(name)
	case run > 1:
		run--
	}
	return strings.ToLower(name[:run]) + name[run:]
}

func TestSwitchText(t *testing.T) {
	for s, want := range map[Switch]string{Default: "null", On: "true", Off: "false"} {
		text, err := s.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, want, string(text))
		back := Switch(7)
		require.NoError(t, back.UnmarshalJSON(text))
		require.Equal(t, s, back)
	}
	for _, bad := range []string{"", "yes", "True", "1", `"true"`, "null "} {
		require.Error(t, new(Switch).UnmarshalJSON([]byte(bad)), fmt.Sprintf("%q", bad))
	}
	require.Error(t, new(Switch).UnmarshalText([]byte("null")))
	require.Equal(t, []string{"default", "true", "false"}, []string{Default.String(), On.String(), Off.String()})
}

// User data never prints: whatever prints a Spec would print it.
func TestUserDataPrintsNothing(t *testing.T) {
	s := Spec{UserData: UserData("SECRET")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, s), "SECRET", verb)
		require.NotContains(t, fmt.Sprintf(verb, s.UserData), "SECRET", verb)
	}
}

// TestSpecHidesSecrets: neither fmt nor slog show what is secret.
func TestSpecHidesSecrets(t *testing.T) {
	s := Spec{Name: "web1", UserData: UserData("hunter2"), Access: Access{User: "admin", PasswordHash: "$6$hunter2", AuthorizedKeys: []string{"ssh-ed25519 hunter2"}}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("spec", "spec", s, "data", s.UserData, "access", s.Access)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), log.String()} {
		require.NotContains(t, text, "hunter2")
	}
}
