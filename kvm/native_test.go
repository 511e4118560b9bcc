package kvm

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

func hexLines(chunks [][]byte) string {
	var b strings.Builder
	for _, c := range chunks {
		b.WriteString(hex.EncodeToString(c) + "\n")
	}
	return b.String()
}

func TestNativeKind(t *testing.T) {
	var n provision.Native = &Native{}
	require.Equal(t, "kvm", n.NativeKind())
	_, err := json.Marshal(n)
	require.NoError(t, err, "another Native has to be another Spec")
}

func TestNativeValid(t *testing.T) {
	for _, n := range []*Native{
		{},
		{Machine: "q35"}, {Machine: "pc-q35-7.2"}, {Machine: "pc-q35-rhel9.4.0"}, {Machine: "pc-q35-" + strings.Repeat("1", 40)},
		{CPUModel: "host-passthrough"}, {CPUModel: "Skylake-Server-noTSX-IBRS"}, {CPUModel: "EPYC-v4"}, {CPUModel: "486"},
		{Firmware: FirmwareBIOS}, {Firmware: FirmwareUEFI}, {Firmware: FirmwareUEFISecure},
		{Kernel: &Kernel{Image: "/boot/vmlinuz"}},
		{Kernel: &Kernel{Image: "/boot/vmlinuz-6.1.0-18_cloud+x@1", Initrd: "/boot/initrd.img", Cmdline: "console=ttyS0 \"a b\" ~"}},
		{Kernel: &Kernel{Image: "/a", Cmdline: strings.Repeat("a", 2000)}},
		{Kernel: &Kernel{Image: "/..a/b..c/.d"}},
	} {
		require.Empty(t, n.Validate(), "%+v %+v", n, n.Kernel)
	}
}

func TestNativeInvalid(t *testing.T) {
	for name, c := range map[string]struct {
		native Native
		paths  []string
	}{
		"i440fx":             {Native{Machine: "pc"}, []string{"machine"}},
		"microvm":            {Native{Machine: "microvm"}, []string{"machine"}},
		"machine in capital": {Native{Machine: "Q35"}, []string{"machine"}},
		"option in machine":  {Native{Machine: "q35,accel=tcg"}, []string{"machine"}},
		"line in machine":    {Native{Machine: "q35\n"}, []string{"machine"}},
		"empty version":      {Native{Machine: "pc-q35-"}, []string{"machine"}},
		"long version":       {Native{Machine: "pc-q35-" + strings.Repeat("1", 41)}, []string{"machine"}},
		"flag in model":      {Native{CPUModel: "EPYC,+svm"}, []string{"cpuModel"}},
		"line in model":      {Native{CPUModel: "EPYC\n"}, []string{"cpuModel"}},
		"long model":         {Native{CPUModel: strings.Repeat("a", 64)}, []string{"cpuModel"}},
		"other firmware":     {Native{Firmware: "efi"}, []string{"firmware"}},
		"no kernel":          {Native{Kernel: &Kernel{}}, []string{"kernel.image"}},
		"relative kernel":    {Native{Kernel: &Kernel{Image: "boot/vmlinuz"}}, []string{"kernel.image"}},
		"dots in kernel":     {Native{Kernel: &Kernel{Image: "/boot/../etc/shadow"}}, []string{"kernel.image"}},
		"kernel of a dot":    {Native{Kernel: &Kernel{Image: "/boot/./vmlinuz"}}, []string{"kernel.image"}},
		"two slashes":        {Native{Kernel: &Kernel{Image: "//boot/vmlinuz"}}, []string{"kernel.image"}},
		"a directory":        {Native{Kernel: &Kernel{Image: "/boot/"}}, []string{"kernel.image"}},
		"the root":           {Native{Kernel: &Kernel{Image: "/"}}, []string{"kernel.image"}},
		"NUL in kernel":      {Native{Kernel: &Kernel{Image: "/a\x00b"}}, []string{"kernel.image"}},
		"line in kernel":     {Native{Kernel: &Kernel{Image: "/a\n"}}, []string{"kernel.image"}},
		"comma in kernel":    {Native{Kernel: &Kernel{Image: "/a,b"}}, []string{"kernel.image"}},
		"long path":          {Native{Kernel: &Kernel{Image: "/" + strings.Repeat("a", 1000)}}, []string{"kernel.image"}},
		"initrd":             {Native{Kernel: &Kernel{Image: "/a", Initrd: "b"}}, []string{"kernel.initrd"}},
		"initrd of white":    {Native{Kernel: &Kernel{Image: "/a", Initrd: " "}}, []string{"kernel.initrd"}},
		"cmdline of lines":   {Native{Kernel: &Kernel{Image: "/a", Cmdline: "a\nb"}}, []string{"kernel.cmdline"}},
		"cmdline of UTF-8":   {Native{Kernel: &Kernel{Image: "/a", Cmdline: "é"}}, []string{"kernel.cmdline"}},
		"long cmdline":       {Native{Kernel: &Kernel{Image: "/a", Cmdline: strings.Repeat("a", 2001)}}, []string{"kernel.cmdline"}},
		"everything":         {Native{Machine: "x", Kernel: &Kernel{Image: "x", Initrd: "x", Cmdline: "\t"}}, []string{"machine", "kernel.image", "kernel.initrd", "kernel.cmdline"}},
	} {
		var paths []string
		for _, e := range c.native.Validate() {
			paths = append(paths, e.Path)
			require.NotEmpty(t, e.Problem, name)
			require.ErrorIs(t, e, provision.ErrInvalid)
		}
		require.Equal(t, c.paths, paths, name)
	}
}

// A Native reaches a caller with its path below "native".
func TestNativeInSpec(t *testing.T) {
	s := provision.Spec{Name: "web1", Native: &Native{Machine: "pc", Kernel: &Kernel{Image: "x"}}}
	err := s.Validate()
	require.ErrorIs(t, err, provision.ErrInvalid)
	require.ErrorContains(t, err, "native.machine")
	require.ErrorContains(t, err, "native.kernel.image")
	s.Native = &Native{Kernel: &Kernel{Image: "/boot/vmlinuz"}}
	require.NoError(t, s.Validate())
}

func TestNativeApply(t *testing.T) {
	g := domainxml.Guest{Name: "web1"}
	(*Native)(nil).apply(&g, "/n")
	(&Native{}).apply(&g, "/n")
	require.Equal(t, domainxml.Guest{Name: "web1"}, g)
	(&Native{Firmware: FirmwareBIOS}).apply(&g, "/n")
	require.Nil(t, g.Firmware)
	(&Native{Firmware: FirmwareUEFISecure, CPUModel: "maximum"}).apply(&g, "/n")
	require.Equal(t, domainxml.Guest{Name: "web1", CPU: domainxml.CPU{Model: "maximum"}, Firmware: &domainxml.Firmware{NVRAM: "/n", SecureBoot: true}}, g)
	g = domainxml.Guest{Name: "web1"}
	(&Native{Machine: "q35", Kernel: &Kernel{"/i", "/r", "c"}}).apply(&g, "/n")
	require.Equal(t, domainxml.Guest{Name: "web1", Machine: "q35", Kernel: &domainxml.Kernel{Image: "/i", Initrd: "/r", Cmdline: "c"}}, g)
}

func TestEmulationText(t *testing.T) {
	for _, e := range []Emulation{EmulateNever, EmulateIfMust, EmulateAlways} {
		text, err := e.MarshalText()
		require.NoError(t, err)
		var back Emulation
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, e, back)
	}
	var e Emulation
	require.ErrorContains(t, e.UnmarshalText([]byte("yes")), "ifMust")
	require.Equal(t, "Emulation(7)", Emulation(7).String())
}

func TestNativeThatIsANilPointer(t *testing.T) {
	s := provision.Spec{Name: "web1", Image: "debian-12", Native: (*Native)(nil)}
	require.NoError(t, s.Validate())
}
