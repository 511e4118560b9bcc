package kvm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/guestforge/provision"
)

// netplan is what a guest reads out of a network-config: the types of the values
// are checked too, as a field that is not here is an error.
type netplan struct {
	Version   int
	Ethernets map[string]struct {
		Match       struct{ Macaddress string }
		DHCP4       bool `yaml:"dhcp4"`
		Addresses   []string
		MTU         int `yaml:"mtu"`
		Routes      []netplanRoute
		Nameservers struct{ Addresses, Search []string }
	}
}

type netplanRoute struct {
	To, Via string
	OnLink  bool `yaml:"on-link"`
}

func decode(t *testing.T, text []byte, v any) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(v), "%s", text)
}

func TestNetworkConfigIsYAML(t *testing.T) {
	eachSpec(t, func(t *testing.T, _ string, s *provision.Spec) {
		text := seedConfig(testID, s).NetworkConfig()
		if len(text) == 0 {
			for _, n := range s.NICs {
				require.Empty(t, n.Addresses)
			}
			return
		}
		var plan netplan
		decode(t, text, &plan)
		require.Equal(t, 2, plan.Version)
		byMAC := map[string]int{}
		for i, n := range s.NICs {
			byMAC[n.MAC.String()] = i
		}
		addressed := 0
		for _, n := range s.NICs {
			if len(n.Addresses) > 0 {
				addressed++
			}
		}
		// Where no NIC has an address, the first gets DHCP to carry the DNS.
		require.Len(t, plan.Ethernets, max(addressed, 1))
		for name, e := range plan.Ethernets {
			i, ok := byMAC[e.Match.Macaddress]
			require.True(t, ok, "%s is matched by %q", name, e.Match.Macaddress)
			n := s.NICs[i]
			require.Equal(t, texts(n.Addresses), e.Addresses)
			require.Equal(t, addressed == 0, e.DHCP4)
			require.Equal(t, n.MTU, e.MTU)
			require.Empty(t, cmp.Diff(texts(s.DNS.Servers), e.Nameservers.Addresses, cmpopts.EquateEmpty()))
			require.Empty(t, cmp.Diff(s.DNS.Search, e.Nameservers.Search, cmpopts.EquateEmpty()))
			require.Len(t, e.Routes, len(n.Gateways))
			for j, r := range e.Routes {
				require.Equal(t, n.Gateways[j].String(), r.Via)
				require.Equal(t, n.Gateways[j].Is4(), r.To == "0.0.0.0/0")
				require.True(t, r.To == "0.0.0.0/0" || r.To == "::/0")
			}
		}
	})
}

func texts[T interface{ String() string }](list []T) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.String())
	}
	return out
}

// Whatever YAML makes of words, cloud-init gets strings.
func TestMetaDataIsYAML(t *testing.T) {
	for _, host := range []string{"web1", "web1.example.net", "on", "no", "true", "null", "1e3", "0x1f", "12345", "1.5", "2026-11-22", "0o17", "1_000", "nan", "y"} {
		have := map[string]any{}
		decode(t, seedConfig(testID, &provision.Spec{Hostname: host}).MetaData(), &have)
		require.Equal(t, map[string]any{"instance-id": string(testID), "local-hostname": host}, have)
	}
	// The instance-id is what cloud-init runs again for.
	other := seedConfig("5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a12", specs()["plain"]).MetaData()
	require.NotEqual(t, seedConfig(testID, specs()["plain"]).MetaData(), other)
}

type account struct {
	Name, Sudo, Shell string
	HashedPasswd      string   `yaml:"hashed_passwd"`
	LockPasswd        *bool    `yaml:"lock_passwd"`
	Keys              []string `yaml:"ssh_authorized_keys"`
}

type cloudConfig struct {
	Users       []account
	User        *account
	Keys        []string `yaml:"ssh_authorized_keys"`
	Hosts       string   `yaml:"manage_etc_hosts"`
	DisableRoot *bool    `yaml:"disable_root"`
}

func TestVendorDataIsYAML(t *testing.T) {
	eachSpec(t, func(t *testing.T, _ string, s *provision.Spec) {
		a := s.Access
		text := seedConfig(testID, s).VendorData()
		dotted := strings.Contains(s.Hostname, ".")
		if a.User == "" && a.PasswordHash == "" && len(a.AuthorizedKeys) == 0 && !dotted {
			require.Empty(t, text)
			return
		}
		require.True(t, strings.HasPrefix(string(text), "#cloud-config\n"))
		require.NotContains(t, string(text), "null", "cloud-init 22 crashes on keys of null")
		var have cloudConfig
		decode(t, text, &have)
		require.Equal(t, dotted, have.Hosts == "localhost", "hostname -f knows the domain")
		keys := have.Keys
		if a.User != "" {
			require.Len(t, have.Users, 1)
			require.Equal(t, a.User, have.Users[0].Name)
			require.Equal(t, a.User == "root", have.Users[0].Sudo == "")
			require.Equal(t, a.User == "root", have.DisableRoot != nil && !*have.DisableRoot)
			keys = have.Users[0].Keys
		}
		require.Empty(t, cmp.Diff(a.AuthorizedKeys, keys, cmpopts.EquateEmpty()))
		requirePassword(t, &have, a)
	})
}

// requirePassword: the hash is given as one, and the account is not locked then.
func requirePassword(t *testing.T, have *cloudConfig, a provision.Access) {
	t.Helper()
	user := have.User
	if a.User != "" {
		require.Nil(t, user)
		user = &have.Users[0]
	}
	if a.PasswordHash == "" {
		require.True(t, user == nil || user.HashedPasswd == "" && user.LockPasswd == nil)
		return
	}
	require.Equal(t, a.PasswordHash, user.HashedPasswd)
	require.False(t, *user.LockPasswd)
}
