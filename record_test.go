package provision

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

const (
	idA = ID("aaaaaaaa-0000-4000-8000-000000000001")
	idB = ID("bbbbbbbb-0000-4000-8000-000000000002")
)

// hostile is a Spec of secrets, and of texts that configuration formats break
// on.
func hostile() Spec {
	return Spec{
		Name: "web1", Image: "debian-12", Key: "a'b\"c\\d</metadata>&]]>\u2028😀\u0085é",
		Labels: map[string]string{
			"nl": "a\nb\r\n", "esc": "\x1b[2J\x00\x7f", "ini": "lxc.include = /etc/passwd\n#", "xml": "</domain>]]>&amp;", "rtl": "\u202e", "del": "\u007f\u00ff",
			"shell": "$(id) `id` ; '", "sep": "\u2028\u2029\ufeff", "astral": "😀\U0010ffff", "max": "\uffff\ufffd",
		},
		Access:   Access{User: "admin", PasswordHash: "$6$SALTSECRET$HASHSECRET", AuthorizedKeys: []string{"ssh-rsa KEYSECRET me"}},
		UserData: UserData("#cloud-config DATASECRET"),
		Native:   &fakeNative{Secret: "NATIVESECRET"},
		NICs:     []NIC{{Bridge: "br0", AntiSpoof: Off}},
	}
}

type fakeNative struct{ Secret string }

func (*fakeNative) NativeKind() string      { return "fake" }
func (*fakeNative) Validate() []*FieldError { return nil }

func recordOf(id ID, s Spec) *record {
	full := s.withDefaults(id)
	return newRecord(id, &s, &full, time.Date(2026, 11, 22, 12, 0, 0, 999, time.FixedZone("x", 3600)))
}

func TestRecordIsOneLineOfASCII(t *testing.T) {
	r := recordOf(idA, hostile())
	text, err := r.encode()
	require.NoError(t, err)
	for i, c := range text {
		require.True(t, c >= 0x20 && c < 0x7f, "byte %d is %#x", i, c)
	}
	require.NotContains(t, string(text), "SECRET")
	require.NotContains(t, string(text), "</")
	require.NotContains(t, string(text), "]]>")

	back, problem := decodeRecord(&Found{Status: Status{ID: idA}, Record: text})
	require.Empty(t, problem)
	require.Empty(t, cmp.Diff(r, back, cmpopts.EquateEmpty()))
	require.Equal(t, hostile().Key, back.Spec.Key)
	require.Equal(t, "2026-11-22T11:00:00Z", back.Created.Format(time.RFC3339Nano))
}

// What Record promises to backends holds for the largest Spec.
func TestRecordSize(t *testing.T) {
	for _, c := range []string{"a", "\x01", "<", "é", "😀", "\""} {
		s := hostile()
		s.Key = strings.Repeat("é", maxKey/2)
		s.Labels = map[string]string{"a": strings.Repeat(c, (maxLabels-1)/len(c))}
		s.Access, s.UserData, s.Native = Access{}, nil, nil
		require.NoError(t, s.Validate())
		text, err := recordOf(idA, s).encode()
		require.NoError(t, err)
		require.LessOrEqual(t, len(text), maxRecordTested, "labels of %q", c)
	}
}

// A guest whose record is not in order is shown as foreign, and says why.
func TestRecordRefused(t *testing.T) {
	good, err := recordOf(idA, hostile()).encode()
	require.NoError(t, err)
	edit := func(from, to string) Record {
		require.Contains(t, string(good), from)
		return Record(strings.Replace(string(good), from, to, 1))
	}
	for _, c := range []struct {
		name   string
		record Record
		reason string
	}{
		{"none", nil, ""},
		{"empty", Record{}, "cannot be read"},
		{"garbage", Record("\x00\xff"), "cannot be read"},
		{"null", Record("null"), "a copy made by other means"},
		{"list", Record("[]"), "cannot be read"},
		{"cut off", good[:len(good)/2], "cannot be read"},
		{"two", append(slices.Clone(good), good...), "cannot be read"},
		{"another guest's", edit(string(idA), string(idB)), "carries the record of guest " + string(idB)},
		{"newer", edit(`"v":1`, `"v":2`), "version 2, made by a newer version"},
		{"newer, of another form", Record(`{"v":2,"spec":"compact","id":7}`), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, rec := new(Host).guestOf(Found{Status: Status{Name: "web1", ID: idA, State: StateRunning, Managed: true}, Record: c.record})
			require.Nil(t, rec)
			require.False(t, st.Managed)
			require.Equal(t, StateRunning, st.State)
			require.Contains(t, st.Reason, c.reason)
			require.Equal(t, c.record == nil, st.Reason == "")
		})
	}
	st, _ := new(Host).guestOf(Found{Status: Status{ID: idA, Reason: "paused by an I/O error"}, Record: Record("x")})
	require.Equal(t, "paused by an I/O error; its record cannot be read", st.Reason)
}

func TestRecordStatus(t *testing.T) {
	r := recordOf(idA, hostile())
	r.Suspended = &suspension{Reasons: []string{"abuse", "payment"}}
	for phase, want := range map[phase]State{creating: StateIncomplete, deleting: StateIncomplete, complete: StateRunning} {
		r.Phase = phase
		text, err := r.encode()
		require.NoError(t, err)
		st, rec := new(Host).guestOf(Found{Status: Status{Name: "web1", ID: idA, State: StateRunning}, Record: text})
		require.NotNil(t, rec)
		require.True(t, st.Managed)
		require.Equal(t, want, st.State)
		require.Equal(t, hostile().Labels, st.Labels)
		require.Equal(t, []string{"abuse", "payment"}, st.Suspended)
		require.Equal(t, []string{hostile().Key, "debian-12"}, []string{st.Key, st.Image})
	}
	r.Suspended.Reasons = nil
	text, err := r.encode()
	require.NoError(t, err)
	_, rec := new(Host).guestOf(Found{Status: Status{ID: idA}, Record: text})
	require.Nil(t, rec.Suspended, "a suspension without reasons is none")
}

// One Spec has one digest for one guest, and another for another guest: whoever
// sees two records cannot tell that two customers have one password.
func TestRecordDigests(t *testing.T) {
	s := hostile()
	same := s.Copy()
	require.Equal(t, requestDigest(idA, &s), requestDigest(idA, &same))
	require.NotEqual(t, requestDigest(idA, &s), requestDigest(idB, &s))
	require.Len(t, requestDigest(idA, &s), 64)

	a, b := secretDigests(idA, &s), secretDigests(idB, &s)
	paths := []string{"access.authorizedKeys", "access.passwordHash", "native", "userData"}
	require.Equal(t, paths, slices.Sorted(maps.Keys(a)))
	for _, p := range paths {
		require.NotEqual(t, a[p], b[p], p)
		require.Len(t, a[p], 64, p)
	}
	other := s.Copy()
	other.Native = &fakeNative{Secret: "other"}
	require.NotEqual(t, requestDigest(idA, &s), requestDigest(idA, &other))
	require.Empty(t, secretDigests(idA, &Spec{Name: "web1"}))
}

func TestNewID(t *testing.T) {
	seen := map[ID]bool{}
	for range 1000 {
		id := newID()
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, string(id))
		require.False(t, seen[id])
		seen[id] = true
	}
}

// Derived addresses are stable, local and not the host's.
func TestDerivedMAC(t *testing.T) {
	require.Equal(t, derivedMAC(idA, 0), derivedMAC(idA, 0))
	require.NotEqual(t, derivedMAC(idA, 0), derivedMAC(idA, 1))
	require.NotEqual(t, derivedMAC(idA, 0), derivedMAC(idB, 0))
	s := Spec{Name: "web1", Image: "i", NICs: []NIC{{Bridge: "br0"}, {Bridge: "br0", MAC: MAC{2, 0, 0, 0, 0, 1}}}}
	full := s.withDefaults(idA)
	require.Equal(t, derivedMAC(idA, 0), full.NICs[0].MAC)
	require.Equal(t, s.NICs[1].MAC, full.NICs[1].MAC)
	require.Zero(t, s.NICs[0].MAC, "the caller's Spec is left alone")
	require.NoError(t, full.Validate())
	require.Equal(t, byte(2), full.NICs[0].MAC[0]&3)
}

// Text that is not JSON-safe in a digest would be the same for two Specs.
func TestRecordSpecHasJSONForm(t *testing.T) {
	text, err := json.Marshal(recordOf(idA, hostile()).Spec)
	require.NoError(t, err)
	var s Spec
	require.NoError(t, json.Unmarshal(text, &s))
	require.Equal(t, hostile().Labels, s.Labels)
}
