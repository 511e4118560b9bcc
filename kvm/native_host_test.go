package kvm

import (
	"testing"

	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

const someCaps = `<domainCapabilities><os supported='yes'><enum name='firmware'><value>efi</value></enum>
<loader supported='yes'><enum name='secure'><value>no</value></enum></loader></os>
<cpu><mode name='host-passthrough' supported='no'/><mode name='maximum' supported='yes'/><mode name='host-model' supported='yes'/>
<mode name='custom' supported='yes'><model usable='yes'>qemu64</model><model usable='no'>EPYC</model><model usable='unknown'>pentium</model></mode></cpu></domainCapabilities>`

func capsOf(t *testing.T, text string) *libvirtxml.DomainCaps {
	t.Helper()
	c := new(libvirtxml.DomainCaps)
	require.NoError(t, c.Unmarshal(text))
	return c
}

func TestFitsCPU(t *testing.T) {
	c := capsOf(t, someCaps)
	for model, fits := range map[string]bool{
		"": true, "qemu64": true, "maximum": true, "host-model": true,
		"host-passthrough": false, "EPYC": false, "pentium": false, "nonsense": false, "custom": false,
	} {
		errs := fitsCPU(c, model)
		require.Equal(t, fits, len(errs) == 0, model)
		for _, err := range errs {
			require.ErrorIs(t, err, provision.ErrInvalid)
			require.ErrorContains(t, err, "native.cpuModel")
			require.ErrorContains(t, err, "host-model, maximum, qemu64", "the usable ones are named")
		}
	}
	require.NotEmpty(t, fitsCPU(&libvirtxml.DomainCaps{}, "qemu64"))
}

func TestFitsFirmware(t *testing.T) {
	for name, tt := range map[string]struct {
		caps         string
		uefi, secure bool
	}{
		"some":     {someCaps, true, false},
		"all":      {`<domainCapabilities><os><enum name='firmware'><value>efi</value></enum><loader><enum name='secure'><value>yes</value></enum></loader></os></domainCapabilities>`, true, true},
		"bios":     {`<domainCapabilities><os><enum name='firmware'><value>bios</value></enum></os></domainCapabilities>`, false, false},
		"nothing":  {`<domainCapabilities/>`, false, false},
		"no empty": {`<domainCapabilities><os><enum name='firmware'/></os></domainCapabilities>`, false, false},
	} {
		c := capsOf(t, tt.caps)
		require.Empty(t, fitsFirmware(c, ""), name)
		require.Empty(t, fitsFirmware(c, FirmwareBIOS), name)
		require.Equal(t, tt.uefi, len(fitsFirmware(c, FirmwareUEFI)) == 0, name)
		require.Equal(t, tt.secure, len(fitsFirmware(c, FirmwareUEFISecure)) == 0, name)
		for _, err := range fitsFirmware(c, FirmwareUEFISecure) {
			require.ErrorContains(t, err, "ovmf", "it says what to install")
		}
	}
}
