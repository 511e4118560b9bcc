package nocloud

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// The kernel takes a gateway outside of the NIC's networks only when it is told
// that it is on link; for IPv6 it knows that of link-local ones by itself.
func TestOnLink(t *testing.T) {
	for _, c := range []struct {
		address, gateway string
		onLink           bool
	}{
		{"192.0.2.10/24", "192.0.2.1", false},
		{"192.0.2.10/32", "192.0.2.1", true},
		{"192.0.2.10/31", "192.0.2.11", false},
		{"192.0.2.10/24", "198.51.100.1", true},
		{"192.0.2.10/24", "169.254.0.1", true},
		{"169.254.7.7/16", "169.254.0.1", false},
		{"2001:db8::10/64", "2001:db8::1", false},
		{"2001:db8::10/128", "2001:db8::1", true},
		{"2001:db8::10/64", "2001:db8:1::1", true},
		{"2001:db8::10/64", "fe80::1", false},
		{"2001:db8::10/128", "fe80::1", false},
	} {
		addresses := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix(c.address)}
		gateway := netip.MustParseAddr(c.gateway)
		require.Equal(t, c.onLink, OnLink(addresses, gateway), "%s by %s", c.address, c.gateway)
		var r struct {
			To, Via string
			OnLink  bool `yaml:"on-link"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(route(addresses, gateway)), &r))
		require.Equal(t, c.onLink, r.OnLink, "%s by %s", c.address, c.gateway)
		require.Equal(t, c.gateway, r.Via)
	}
}

// Files without data are left out by who carries them.
func TestFiles(t *testing.T) {
	files := (&Config{InstanceID: "i-1", Hostname: "web1"}).Files()
	require.Equal(t, []File{
		{"meta-data", []byte("instance-id: \"i-1\"\nlocal-hostname: \"web1\"\n")},
		{"user-data", []byte("#cloud-config\n{}\n")},
		{"vendor-data", nil},
		{"network-config", []byte{}},
	}, files)
}
