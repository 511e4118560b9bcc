package provision_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// designSpec is what testdata/manifest.yaml says: the form that is promised.
func designSpec() provision.Spec {
	return provision.Spec{
		Name: "web1", Hostname: "web1.example.net", Key: "order-4711", Image: "debian-12",
		CPU:    provision.CPU{Count: 2, Limit: 1.5, Weight: 200},
		Memory: provision.Memory{Size: 2 * provision.GiB, Swap: 512 * provision.MiB, Guaranteed: true},
		Disks:  []provision.Disk{{Size: 20 * provision.GiB, Inodes: 1000000, IOPS: 2000, BPS: 100 * provision.MiB}},
		NICs: []provision.NIC{{
			Bridge: "br0", VLAN: 42, MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, 0xc3},
			Addresses: prefixes("192.0.2.10/24", "2001:db8::10/64"), Gateways: addrs("192.0.2.1", "2001:db8::1"),
			Rate: provision.Rate{In: 100 * provision.Mbit, Out: 100 * provision.Mbit}, AntiSpoof: provision.On,
		}},
		DNS:       provision.DNS{Servers: addrs("192.0.2.53"), Search: []string{"example.net"}},
		Limits:    provision.Limits{Processes: 500, OpenFiles: 4096},
		Access:    provision.Access{User: "admin", AuthorizedKeys: []string{"ssh-ed25519 AAAA… me"}, PasswordHash: "$6$…"},
		UserData:  provision.UserData("#cloud-config\n"),
		Autostart: true,
		Labels:    map[string]string{"customer": "77"},
		Needs:     provision.Needs{OwnKernel: true, GuaranteedMemory: true, Residency: "NO"},
	}
}

func read(t *testing.T, text string) []provision.Spec {
	t.Helper()
	specs, err := provision.ReadManifest(strings.NewReader(text))
	require.NoError(t, err)
	return specs
}

func equalSpec(t *testing.T, want, have provision.Spec) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, have, sameSpec))
}

func TestManifestDesign(t *testing.T) {
	text, err := os.ReadFile("testdata/manifest.yaml")
	require.NoError(t, err)
	for _, form := range []string{string(text), strings.ReplaceAll(string(text), "\n", "\r\n"), "\ufeff" + string(text), "---\n" + string(text) + "...\n"} {
		specs := read(t, form)
		require.Len(t, specs, 1)
		equalSpec(t, designSpec(), specs[0])
	}
}

// JSON is YAML, and what encoding/json writes is read back.
func TestManifestJSON(t *testing.T) {
	text, err := json.MarshalIndent(designSpec(), "", "\t")
	require.NoError(t, err)
	specs := read(t, strings.ReplaceAll(string(text), "\t", "  "))
	require.Len(t, specs, 1)
	equalSpec(t, designSpec(), specs[0])

	var direct provision.Spec
	require.NoError(t, json.Unmarshal(text, &direct))
	equalSpec(t, designSpec(), direct)
}

func TestManifestDocuments(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"two", "name: a\n---\nname: b\n", []string{"a", "b"}},
		{"markers", "---\nname: a\n---\nname: b\n---\n", []string{"a", "b"}},
		{"comment between", "name: a\n---\n# nothing\n---\nname: b\n", []string{"a", "b"}},
		{"end marker", "name: a\n...\n---\nname: b\n", []string{"a", "b"}},
		{"JSON documents", "{\"name\": \"a\"}\n---\n{\"name\": \"b\"}", []string{"a", "b"}},
		{"empty mapping", "{}", []string{""}},
		{"three, ordered", "name: c\n---\nname: a\n---\nname: b", []string{"c", "a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var names []string
			for _, s := range read(t, c.text) {
				names = append(names, s.Name)
			}
			require.Equal(t, c.want, names)
		})
	}
}

// Values that YAML 1.1 reads as something else keep the text that was written.
func TestManifestScalars(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       provision.Spec
	}{
		{"Norway", "needs: {residency: NO}", provision.Spec{Needs: provision.Needs{Residency: "NO"}}},
		{"sexagesimal MAC", "nics: [{bridge: br0, mac: 52:54:00:11:22:33}]", provision.Spec{NICs: []provision.NIC{{Bridge: "br0", MAC: provision.MAC{0x52, 0x54, 0, 0x11, 0x22, 0x33}}}}},
		{"MAC with hyphens", "nics: [{mac: 52-54-00-A1-B2-C3}]", provision.Spec{NICs: []provision.NIC{{MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, 0xc3}}}}},
		{"number as key", "key: 4711", provision.Spec{Key: "4711"}},
		{"number with zeros", "key: 007", provision.Spec{Key: "007"}},
		{"float as key", "key: 1e3", provision.Spec{Key: "1e3"}},
		{"date as label", "labels: {paid: 2026-11-22, ok: yes, n: 1.50, t: true}", provision.Spec{Labels: map[string]string{"paid": "2026-11-22", "ok": "yes", "n": "1.50", "t": "true"}}},
		{"number as label's name", "labels: {77: a, true: b}", provision.Spec{Labels: map[string]string{"77": "a", "true": "b"}}},
		{"bytes without unit", "memory: {size: 536870912}", provision.Spec{Memory: provision.Memory{Size: 512 * provision.MiB}}},
		{"whole cores", "cpu: {limit: 2}", provision.Spec{CPU: provision.CPU{Limit: 2}}},
		{"fold", "userData: >\n  a\n  b\n", provision.Spec{UserData: provision.UserData("a b\n")}},
		{"binary user data", "userData: base64:H4sA/w==", provision.Spec{UserData: provision.UserData("\x1f\x8b\x00\xff")}},
		{"user data of two lines", "userData: |\n  #cloud-config\n  a: \"\\n\"\n", provision.Spec{UserData: provision.UserData("#cloud-config\na: \"\\n\"\n")}},
		{"anti-spoof off", "nics: [{antiSpoof: false}, {antiSpoof: true}, {}]", provision.Spec{NICs: []provision.NIC{{AntiSpoof: provision.Off}, {AntiSpoof: provision.On}, {}}}},
		{"True", "nics: [{antiSpoof: True}]\nautostart: True", provision.Spec{Autostart: true, NICs: []provision.NIC{{AntiSpoof: provision.On}}}},
		{"alias", "nics: [&n {bridge: br0, vlan: 7}, *n]", provision.Spec{NICs: []provision.NIC{{Bridge: "br0", VLAN: 7}, {Bridge: "br0", VLAN: 7}}}},
		{"alias of a value", "name: &n web1\nhostname: *n", provision.Spec{Name: "web1", Hostname: "web1"}},
		{"string tag", "name: !!str 12", provision.Spec{Name: "12"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			specs := read(t, c.text)
			require.Len(t, specs, 1)
			equalSpec(t, c.want, specs[0])
		})
	}
}

// A document that is a value of a string is kept apart: aliases share nothing.
func TestManifestAliasesShareNothing(t *testing.T) {
	s := read(t, "nics: [&n {addresses: [192.0.2.1/24]}, *n]")[0]
	s.NICs[0].Addresses[0] = prefixes("192.0.2.2/24")[0]
	require.Equal(t, "192.0.2.1/24", s.NICs[1].Addresses[0].String())
}

func TestManifestReaderFails(t *testing.T) {
	boom := errors.New("boom")
	specs, err := provision.ReadManifest(iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
	require.Nil(t, specs)
}
