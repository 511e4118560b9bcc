package kvm

import (
	"encoding/xml"
	"testing"

	"github.com/stretchr/testify/require"
)

// Only the refusal can be tried on a real libvirt 9: what libvirt 11 gets is in
// testdata/domain/networks.xml.
func TestVLANAdvice(t *testing.T) {
	for v, refused := range map[uint64]bool{9_000_000: true, 10_010_000: true, 10_999_999: true, 11_000_000: false, 11_006_000: false, 12_000_000: false} {
		why := vlanAdvice(v)
		require.Equal(t, refused, why != "", "%d", v)
		if refused {
			require.Contains(t, why, version(v))
			require.Regexp(t, `11\.0\.0.*a bridge for each VLAN.*Options\.OpenVSwitch`, why)
		}
	}
}

func TestBridgeProblem(t *testing.T) {
	for _, c := range []struct {
		link link
		ovs  bool
		want string
	}{
		{linkUnknown, false, ""}, {linkUnknown, true, ""},
		{linkBridge, false, ""}, {linkOther, true, ""},
		{linkAbsent, false, "no network device"}, {linkAbsent, true, "no network device"},
		{linkBridge, true, "is a bridge of Linux"}, {linkOther, false, "name it in kvm.Options.OpenVSwitch"},
	} {
		have := bridgeProblem(c.link, c.ovs)
		require.Equal(t, c.want == "", have == "", "%+v", c)
		require.Contains(t, have, c.want)
	}
}

// The driver with udev, and that with netcf, of which only the first is believed
// when it does not find a device.
func TestInterfaceXML(t *testing.T) {
	for text, want := range map[string]interfaceXML{
		`<interface type='bridge' name='br0'><mtu size='1500'/><bridge stp='off' delay='1500'></bridge></interface>`: {Type: "bridge", Name: "br0"},
		`<interface type='ethernet' name='ovs0'><link state='down'/><mac address='96:7c:b7:32:fa:40'/></interface>`:  {Type: "ethernet", Name: "ovs0"},
		`<interface type='ethernet' name='lo'><start mode='onboot'/></interface>`:                                    {Type: "ethernet", Name: "lo", Start: &struct{}{}},
	} {
		var have interfaceXML
		require.NoError(t, xml.Unmarshal([]byte(text), &have))
		require.Equal(t, want, have)
	}
}
