package kvm

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// tree is a file system with these files; the value is the text.
func tree(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for path, text := range files {
		m[path] = &fstest.MapFile{Data: []byte(text), Mode: 0o444}
	}
	return m
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.String()
}

const (
	informs  = provision.SeverityInfo
	cautions = provision.SeverityWarning
	fails    = provision.SeverityError
)

const shaping = "CONFIG_NET_SCH_HTB=y\nCONFIG_NET_SCH_SFQ=m\nCONFIG_NET_SCH_INGRESS=m\nCONFIG_NET_CLS_U32=y\nCONFIG_NET_CLS_FW=m\nCONFIG_NET_ACT_POLICE=m\n"

// TestCheckFiles: what each check makes of the files of a machine. Has is what
// message and evidence say.
func TestCheckFiles(t *testing.T) {
	type files = map[string]string
	version := files{"proc/sys/kernel/osrelease": "6.1.0\n"}
	and := func(more files) files {
		all := files{}
		for _, m := range []files{version, more} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	modules := "kernel/net/sched/sch_sfq.ko.xz: a\nkernel/net/sched/sch_ingress.ko.xz:\nkernel/net/sched/cls_fw.ko:\nkernel/net/sched/act_police.ko:\n"
	for name, tt := range map[string]struct {
		run      func(*examination, context.Context) ([]provision.Finding, error)
		files    files
		severity provision.Severity
		has      string
	}{
		"intel":             {(*examination).cpu, files{"proc/cpuinfo": "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu vmx ept\n\nprocessor : 1\n"}, informs, "Xeon: vmx ept"},
		"amd":               {(*examination).cpu, files{"proc/cpuinfo": "model name\t: EPYC\nflags\t\t: fpu svm npt\n"}, informs, "EPYC: svm npt"},
		"in a VM":           {(*examination).cpu, files{"proc/cpuinfo": "model name\t: EPYC\nflags\t\t: fpu hypervisor\n"}, cautions, "a virtual one"},
		"off in firmware":   {(*examination).cpu, files{"proc/cpuinfo": "model name\t: EPYC\nflags\t\t: fpu vmxx\n"}, cautions, "neither"},
		"arm":               {(*examination).cpu, files{"proc/cpuinfo": "Features : fp\n"}, cautions, "cannot be read"},
		"no cpuinfo":        {(*examination).cpu, nil, cautions, "cannot be read"},
		"no kvm":            {(*examination).device, nil, cautions, "no /dev/kvm"},
		"kvm is a file":     {(*examination).device, files{"dev/kvm": ""}, cautions, "not a device"},
		"nested":            {(*examination).nested, files{"sys/module/kvm_intel/parameters/nested": "Y\n"}, informs, "may run guests of their own kvm_intel nested=Y"},
		"nested amd":        {(*examination).nested, files{"sys/module/kvm_amd/parameters/nested": "1\n"}, informs, "kvm_amd nested=1"},
		"not nested":        {(*examination).nested, files{"sys/module/kvm_amd/parameters/nested": "0\n"}, informs, "may not"},
		"no module":         {(*examination).nested, nil, informs, "neither"},
		"vhost":             {(*examination).vhost, files{"dev/vhost-net": ""}, informs, "carries"},
		"no vhost":          {(*examination).vhost, nil, cautions, "no /dev/vhost-net"},
		"ksm":               {(*examination).ksm, files{"sys/kernel/mm/ksm/run": "1\n", "sys/kernel/mm/ksm/pages_sharing": "77\n"}, cautions, "pages_sharing 77"},
		"ksm off":           {(*examination).ksm, files{"sys/kernel/mm/ksm/run": "0\n"}, informs, "does not merge"},
		"no ksm":            {(*examination).ksm, nil, informs, "it has no KSM"},
		"cgroups v2":        {(*examination).cgroups, files{"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n"}, informs, "v2: cpuset, cpu"},
		"cgroups v1":        {(*examination).cgroups, files{"sys/fs/cgroup/cpu/a": "", "sys/fs/cgroup/cpuset/a": "", "sys/fs/cgroup/blkio/a": "", "sys/fs/cgroup/memory/a": ""}, informs, "v1: cpu, cpuset, io, memory"},
		"no io controller":  {(*examination).cgroups, files{"sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory\n"}, cautions, "not io"},
		"no cgroups":        {(*examination).cgroups, nil, cautions, "no cgroups"},
		"cgroups off":       {(*examination).cgroups, files{"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory", "etc/libvirt/qemu.conf": "# x\n cgroup_controllers = [ \"cpu\",\n \"memory\" ]\n"}, cautions, "leaves out cpuset, blkio"},
		"cgroups commented": {(*examination).cgroups, files{"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory", "etc/libvirt/qemu.conf": "#cgroup_controllers = [ ]\n"}, informs, "v2"},
		"qdiscs in config":  {(*examination).qdiscs, and(files{"proc/config.gz": zipped(t, shaping)}), informs, "sch_htb, sch_sfq"},
		"qdiscs on disk":    {(*examination).qdiscs, and(files{"boot/config-6.1.0": shaping, "lib/modules/6.1.0/modules.dep": modules}), informs, "act_police"},
		"sfq is packaged apart": {(*examination).qdiscs, and(files{"boot/config-6.1.0": shaping,
			"lib/modules/6.1.0/modules.dep": strings.ReplaceAll(modules, "sch_sfq", "sch_other")}), cautions, "kernel 6.1.0 has no sch_sfq"},
		"no police":       {(*examination).qdiscs, and(files{"proc/config.gz": zipped(t, strings.ReplaceAll(shaping, "CONFIG_NET_ACT_POLICE=m", "# CONFIG_NET_ACT_POLICE is not set"))}), cautions, "no act_police"},
		"torn config":     {(*examination).qdiscs, and(files{"proc/config.gz": zipped(t, shaping)[:20], "boot/config-6.1.0": shaping}), informs, "can limit"},
		"builtin list":    {(*examination).qdiscs, and(files{"lib/modules/6.1.0/modules.builtin": "kernel/net/sched/sch_htb.ko\nkernel/net/sched/cls_u32.ko\n", "lib/modules/6.1.0/modules.dep": modules}), informs, "can limit"},
		"qdiscs not told": {(*examination).qdiscs, version, informs, "not known"},
		"tsc":             {(*examination).clock, files{"sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n"}, informs, "a fast one tsc"},
		"hpet": {(*examination).clock, files{"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
			"sys/devices/system/clocksource/clocksource0/available_clocksource": "hpet acpi_pm\n"}, cautions, "hpet, of hpet acpi_pm"},
		"no source": {(*examination).clock, nil, informs, "does not tell"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &examination{files: tree(tt.files), synced: func() (bool, error) { return true, nil }}
			list, err := tt.run(e, t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, list)
			last := list[len(list)-1]
			require.Equal(t, tt.severity, last.Severity, "%+v", last)
			require.Contains(t, last.Message+" "+last.Evidence, tt.has)
			requireFinding(t, last)
		})
	}
}

// requireFinding: every finding has words, and what is wrong has a remedy.
func requireFinding(t *testing.T, f provision.Finding) {
	t.Helper()
	require.NotEmpty(t, f.Message)
	require.Less(t, len(f.Evidence), 1000, "evidence is no dump: %s", f.Evidence)
	require.True(t, f.Severity == informs || f.Remedy != "", "%+v", f)
	require.NotContains(t, f.Evidence+f.Message+f.Remedy, "\n")
}

func TestCheckClock(t *testing.T) {
	for name, tt := range map[string]struct {
		synced   bool
		err      error
		severity provision.Severity
	}{
		"synced": {true, nil, informs}, "free": {false, nil, cautions}, "unknown": {false, errors.New("no"), informs},
	} {
		e := &examination{files: tree(nil), synced: func() (bool, error) { return tt.synced, tt.err }}
		list, err := e.clock(t.Context())
		require.NoError(t, err)
		require.Equal(t, tt.severity, list[0].Severity, name)
	}
}

func TestCheckDevice(t *testing.T) {
	for mode, severity := range map[fs.FileMode]provision.Severity{0o660: informs, 0o666: informs, 0o600: cautions, 0o000: cautions, 0o640: cautions} {
		e := &examination{files: fstest.MapFS{"dev/kvm": &fstest.MapFile{Mode: fs.ModeDevice | fs.ModeCharDevice | mode}}}
		list, err := e.device(t.Context())
		require.NoError(t, err)
		require.Equal(t, severity, list[0].Severity, "%s", mode)
	}
}

func TestCheckBridges(t *testing.T) {
	e := &examination{files: tree(map[string]string{
		"sys/class/net/br0/bridge/x": "", "sys/class/net/br0/flags": "0x1003\n",
		"sys/class/net/br1/bridge/x": "", "sys/class/net/br1/flags": "0x1002\n",
		"sys/class/net/ovs0/flags":  "0x1003\n", // of Open vSwitch
		"sys/class/net/eth0/device": "", "sys/class/net/eth0/flags": "0x1003",
	})}
	many := strings.Fields(strings.Repeat("web ", 100))
	list := e.judgeBridges(map[string][]string{"br0": many, "br1": {"b"}, "ovs0": {"c"}, "eth0": {"d"}, "br9": {"f", "e"}})
	var words []string
	for _, f := range list {
		requireFinding(t, f)
		words = append(words, string(f.Severity)+": "+f.Message+": "+f.Evidence)
	}
	require.Equal(t, []string{
		"info: bridges of guests are there: br0 (100 guests), ovs0 (1 guests)",
		"warning: the bridge br1 is down: b",
		"error: there is no bridge br9, and guests that have it do not start: e, f",
		"error: eth0 is a network card and no bridge, and guests that have it do not start: d",
	}, words)
	require.Equal(t, informs, e.judgeBridges(nil)[0].Severity)
	require.Equal(t, fails, list[2].Severity)
}

func TestCheckSecurity(t *testing.T) {
	for model, severity := range map[string]provision.Severity{"apparmor": informs, "selinux": informs, "none": cautions, "dac": cautions, "": cautions} {
		e := &examination{}
		if model != "" {
			e.caps.Host.SecModel = []libvirtxml.CapsHostSecModel{{Name: model}, {Name: "dac"}}
		}
		list, err := e.security(t.Context())
		require.NoError(t, err)
		require.Equal(t, severity, list[0].Severity, model)
		requireFinding(t, list[0])
	}
}

// TestCheckIssues: each known issue applies from its first version to before the
// one that is right.
func TestCheckIssues(t *testing.T) {
	for i, issue := range issues {
		require.Contains(t, []string{"libvirt", "QEMU"}, issue.program, i)
		require.NotEmpty(t, issue.what, i)
		require.NotEmpty(t, issue.source, i)
		require.Less(t, issue.from, issue.to, i)
		require.True(t, issue.applies(issue.from), i)
		require.True(t, issue.applies(issue.to-1), i)
		require.False(t, issue.applies(issue.to), i)
		if issue.from > 0 {
			require.False(t, issue.applies(issue.from-1), i)
		}
	}
	count := func(libvirt, qemu uint64) (n int, text string) {
		list, err := (&examination{libvirt: libvirt, hypervisor: qemu}).issues(t.Context())
		require.NoError(t, err)
		for _, f := range list {
			requireFinding(t, f)
			require.NotEqual(t, fails, f.Severity, "versions do not keep guests from running")
			text += f.Message + "\n"
		}
		return len(list), text
	}
	n, text := count(9_000_000, 7_002_022)
	require.Equal(t, 7, n, text)
	require.Contains(t, text, "CVE-2025-13193")
	n, text = count(12_000_000, 10_000_003)
	require.Equal(t, 1, n, text)
	require.Contains(t, text, "IOPS")
	_, text = count(11_003_000, 10_002_000)
	require.Contains(t, text, "internal snapshot")
	n, text = count(12_000_000, 11_000_000)
	require.Equal(t, 1, n)
	require.Contains(t, text, "nothing bad")
}

// TestCheckFarAway: what takes files says so where there are none, and is not left out.
func TestCheckFarAway(t *testing.T) {
	for _, c := range checks {
		require.NotNil(t, c.run, c.name)
		require.Regexp(t, `^[a-z-]+$`, c.name)
	}
	_, err := daemonFiles(t.Context(), "")
	require.ErrorContains(t, err, "another machine")
	_, err = daemonFiles(t.Context(), "/nonexistent/socket")
	require.Error(t, err)
}

func TestSome(t *testing.T) {
	require.Equal(t, "a, b", some([]string{"a", "b"}))
	require.Equal(t, "a, a, a, a, a, a, a, a and 2 more", some(strings.Fields(strings.Repeat("a ", 10))))
}
