package domainxml_test

import "testing"

func TestLintCPUModel(t *testing.T) {
	arm := func(s string) string { return "<os><type arch='aarch64' machine='virt-7.2'>hvm</type></os>" + s }
	runRule(t, "cpu-model", []ruleCase{
		{name: "host-model", doc: "<cpu mode='host-model'/>"},
		{name: "passthrough", doc: "<cpu mode='host-passthrough'/>"},
		{name: "maximum", doc: "<cpu mode='maximum'/>"},
		{name: "named", doc: "<cpu match='exact'><model>Skylake-Server</model></cpu>"},
		{name: "emulated", doc: "<domain type='qemu'><cpu><model>qemu64</model></cpu></domain>"},
		{name: "arm", doc: arm("")},
		{name: "container", doc: "<domain type='lxc'/>"},
		{name: "missing", doc: "<name>a</name>", want: []string{"warning /domain"}},
		{
			name: "in a snapshot", doc: "<domainsnapshot><domain type='kvm'><name>a</name></domain></domainsnapshot>",
			want: []string{"warning /domainsnapshot/domain"},
		},
		{name: "topology only", doc: "<cpu><topology sockets='1' cores='1' threads='1'/></cpu>", want: []string{"warning /domain/cpu"}},
		{
			name: "as libvirt expands it",
			doc:  "<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>kvm64</model><vendor>AMD</vendor><feature policy='require' name='x2apic'/></cpu>",
			want: []string{"warning /domain/cpu"},
		},
	})
}

func TestLintCPUPassthrough(t *testing.T) {
	runRule(t, "cpu-passthrough", []ruleCase{
		{name: "on", doc: "<cpu mode='host-passthrough' migratable='on'/>"},
		{name: "host-model", doc: "<cpu mode='host-model'/>"},
		{name: "arm", doc: "<os><type arch='aarch64' machine='virt-7.2'>hvm</type></os><cpu mode='host-passthrough'/>"},
		{name: "hvf", doc: "<domain type='hvf'><cpu mode='host-passthrough'/></domain>"},
		{name: "not said", doc: "<cpu mode='host-passthrough' check='none'/>", want: []string{"info /domain/cpu"}},
		{name: "off", doc: "<cpu mode='host-passthrough' migratable='off'/>", want: []string{"warning /domain/cpu"}},
		{name: "invtsc", doc: "<cpu mode='host-model'><feature policy='require' name='invtsc'/></cpu>", want: []string{"info /domain/cpu/feature"}},
		{
			name: "invtsc of any frequency", doc: "<cpu mode='host-model'><feature policy='force' name='invtsc'/></cpu><clock offset='utc'><timer name='tsc' mode='native'/></clock>",
			want: []string{"info /domain/cpu/feature"},
		},
		{name: "no invtsc", doc: "<cpu mode='host-model'><feature policy='disable' name='invtsc'/></cpu>"},
		{
			name: "invtsc of one frequency",
			doc:  "<cpu mode='host-model'><feature policy='require' name='invtsc'/></cpu><clock offset='utc'><timer name='rtc'/><timer name='tsc' frequency='2600000000'/></clock>",
		},
	})
}

func TestLintCPUCounts(t *testing.T) {
	runRule(t, "cpu-topology", []ruleCase{
		{name: "none", doc: "<vcpu>4</vcpu><cpu mode='host-model'/>"},
		{name: "right", doc: "<vcpu current='1'>8</vcpu><cpu><topology sockets='1' dies='2' cores='2' threads='2'/></cpu>"},
		{name: "clusters", doc: "<vcpu>8</vcpu><cpu><topology sockets='1' dies='1' clusters='2' cores='2' threads='2'/></cpu>"},
		{name: "one", doc: "<cpu><topology sockets='1' cores='1' threads='1'/></cpu>"},
		{name: "no numbers", doc: "<vcpu>2</vcpu><cpu><topology sockets='x' cores='1' threads='1'/></cpu>"},
		{name: "no vcpu", doc: "<vcpu>x</vcpu><cpu><topology sockets='3' cores='1' threads='1'/></cpu>"},
		{name: "half said", doc: "<vcpu>2</vcpu><cpu><topology sockets='1' cores='1'/></cpu>"},
		{name: "too many", doc: "<vcpu>2</vcpu><cpu><topology sockets='4294967295' dies='4294967295' cores='4294967295' threads='4294967295'/></cpu>"},
		{name: "another driver", doc: "<domain type='vmware'><vcpu>2</vcpu><cpu><topology sockets='1' cores='1' threads='1'/></cpu></domain>"},
		{name: "less", doc: "<vcpu>\n2 </vcpu><cpu><topology sockets='1' cores='1' threads='1'/></cpu>", want: []string{"error /domain/cpu/topology"}},
		{name: "more", doc: "<cpu><topology sockets='2' cores='1' threads='1'/></cpu>", want: []string{"error /domain/cpu/topology"}},
	})
	runRule(t, "vcpu-current", []ruleCase{
		{name: "as many", doc: "<vcpu current='2'>2</vcpu>"},
		{name: "not said", doc: "<vcpu>2</vcpu>"},
		{name: "no number", doc: "<vcpu current='many'>2</vcpu>"},
		{name: "no numbers", doc: "<vcpu current='3'>x</vcpu>"},
		{name: "more", doc: "<vcpu placement='static' current='3'>2</vcpu>", want: []string{"error /domain/vcpu"}},
	})
}
