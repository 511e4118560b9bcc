package domainxml_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

func TestLintGraphicsListen(t *testing.T) {
	g := func(kind, attrs, inner string) string {
		return "<devices><graphics type='" + kind + "'" + attrs + ">" + inner + "</graphics></devices>"
	}
	at := []string{"error /domain/devices/graphics"}
	cases := []ruleCase{
		{name: "default", doc: g("vnc", "", "")},
		{name: "empty", doc: g("vnc", " listen=''", "<listen type='address'/>")},
		{name: "address", doc: g("spice", " listen='192.0.2.1'", "<listen type='address' address='192.0.2.1'/>")},
		{name: "six", doc: g("vnc", " listen='::1'", "")},
		{name: "socket", doc: g("vnc", "", "<listen type='socket' socket='/run/a'/>")},
		{name: "network", doc: g("vnc", "", "<listen type='network' network='default'/>")},
		{name: "sdl", doc: g("sdl", " display=':0'", "")},
		{name: "attribute", doc: g("spice", " listen='0.0.0.0'", ""), want: at},
		{name: "element", doc: g("vnc", "", "<listen type='address' address='0.0.0.0'/>"), want: at},
		{name: "both", doc: g("vnc", " listen='::'", "<listen type='address' address='::'/>"), want: at},
		{name: "another hypervisor", doc: "<domain type='xen'>" + g("vnc", " listen='0.0.0.0'", "") + "</domain>", want: at},
		{
			name: "two", doc: "<devices><graphics type='vnc' listen='0.0.0.0'/><graphics type='spice' listen='127.0.0.1'/><graphics type='rdp' listen='0.0.0.0'/></devices>",
			want: []string{"error /domain/devices/graphics[@type='vnc']", "error /domain/devices/graphics[@type='rdp']"},
		},
	}
	for _, all := range []string{"*", "0", "[::]", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0"} {
		cases = append(cases, ruleCase{name: all, doc: g("vnc", " listen='"+all+"'", ""), want: at})
	}
	runRule(t, "graphics-listen", cases)
}

// The password itself is in no finding.
func TestLintGraphicsPassword(t *testing.T) {
	runRule(t, "graphics-password", []ruleCase{
		{name: "none", doc: "<devices><graphics type='vnc'/></devices>"},
		{name: "closed", doc: "<devices><graphics type='vnc' passwd='' passwdValidTo='2030-01-01T00:00:00'/></devices>"},
		{name: "spice", doc: "<devices><graphics type='spice' passwd='hunter2' connected='keep'/></devices>", want: []string{"warning /domain/devices/graphics"}},
		{name: "loopback", doc: "<devices><graphics type='vnc' passwd='hunter2' listen='127.0.0.1'><listen type='address' address='::1'/></graphics></devices>", want: []string{"warning /domain/devices/graphics"}},
		{name: "from elsewhere", doc: "<devices><graphics type='vnc' passwd='hunter2'><listen type='address' address='192.0.2.1'/></graphics></devices>", want: []string{"error /domain/devices/graphics"}},
	})
	for kind, opts := range map[string]domainxml.LintOptions{"vnc": {Libvirt: 1_003_005}, "rdp": {}, "spice": {Libvirt: 11_000_000}} {
		found := lint(t, example("<devices><graphics type='"+kind+"' passwd='hunter2'/></devices>"), "graphics-password", opts)
		require.Len(t, found, 1)
		require.Equal(t, kind == "spice", len(found[0].Fix) > 0, "libvirt before 2.0.0 lets all in for an empty password")
		text, err := json.Marshal(found)
		require.NoError(t, err)
		require.NotContains(t, string(text), "hunter2")
	}
}

func TestLintCharListen(t *testing.T) {
	c := func(name, source string) string {
		return "<devices><" + name + " type='tcp'><source " + source + " service='4555'/></" + name + "></devices>"
	}
	runRule(t, "char-listen", []ruleCase{
		{name: "local", doc: c("serial", "mode='bind' host='127.0.0.1'")},
		{name: "client", doc: c("serial", "mode='connect' host='0.0.0.0'")},
		{name: "TLS", doc: c("serial", "mode='bind' host='0.0.0.0' tls='yes'")},
		{name: "pty", doc: "<devices><serial type='pty'><source path='/dev/pts/1'/></serial></devices>"},
		{name: "no source", doc: "<devices><serial type='tcp'/></devices>"},
		{name: "console", doc: c("console", "mode='bind' host='::'"), want: []string{"error /domain/devices/console"}},
		{name: "channel", doc: c("channel", "mode='bind' host='0.0.0.0'"), want: []string{"error /domain/devices/channel"}},
	})
}

func TestLintVideoCirrus(t *testing.T) {
	runRule(t, "video-cirrus", []ruleCase{
		{name: "none", doc: "<devices><video><model type='none'/></video></devices>"},
		{name: "no model on another machine", doc: "<os><type arch='aarch64' machine='virt-7.2'>hvm</type></os><devices><video/></devices>"},
		{name: "another hypervisor", doc: "<domain type='xen'><devices><video><model type='cirrus'/></video></devices></domain>"},
		{name: "no model", doc: "<devices><video/></devices>", want: []string{"warning /domain/devices/video"}},
		{
			name: "with its address", doc: "<devices><video><model type='cirrus' vram='9216' heads='1' primary='yes'/><address type='pci' domain='0' bus='0' slot='2' function='0'/></video></devices>",
			want: []string{"warning /domain/devices/video"},
		},
	})
}
