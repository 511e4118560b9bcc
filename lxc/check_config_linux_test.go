package lxc

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// items are what lxc-checkconfig prints, and which finding is about the same.
var items = map[string]string{
	"Namespaces": "namespaces", "Utsname namespace": "namespace-uts", "Ipc namespace": "namespace-ipc", "Pid namespace": "namespace-pid",
	"User namespace": "namespace-user", "Network namespace": "namespace-net", "Multiple /dev/pts instances": "devpts",
	"Cgroups": "cgroups", "Cgroup namespace": "namespace-cgroup", "Cgroup v1 systemd controller": "cgroup-systemd",
	"Cgroup v1 freezer controller": "cgroup-freezer", "Cgroup v1 clone_children flag": "cgroup-clone-children", "Cgroup device": "cgroup-devices",
	"Cgroup sched": "cgroup-cpu", "Cgroup cpu account": "cgroup-cpuacct", "Cgroup memory controller": "cgroup-memory", "Cgroup cpuset": "cgroup-cpuset",
	"Veth pair device": "veth", "Macvlan": "macvlan", "Vlan": "vlan", "Bridges": "bridge", "Advanced netfilter": "netfilter-advanced",
	"CONFIG_NF_NAT_IPV4": "nat-ipv4", "CONFIG_NF_NAT_IPV6": "nat-ipv6",
	"CONFIG_IP_NF_TARGET_MASQUERADE": "masquerade-ipv4", "CONFIG_IP6_NF_TARGET_MASQUERADE": "masquerade-ipv6",
	"CONFIG_NETFILTER_XT_TARGET_CHECKSUM": "xt-checksum", "CONFIG_NETFILTER_XT_MATCH_COMMENT": "xt-comment", "FUSE (for use with lxcfs)": "fuse",
	"checkpoint restore": "checkpoint-restore", "CONFIG_FHANDLE": "checkpoint-fhandle", "CONFIG_EVENTFD": "checkpoint-eventfd",
	"CONFIG_EPOLL": "checkpoint-epoll", "CONFIG_UNIX_DIAG": "checkpoint-unix-diag", "CONFIG_INET_DIAG": "checkpoint-inet-diag",
	"CONFIG_PACKET_DIAG": "checkpoint-packet-diag", "CONFIG_NETLINK_DIAG": "checkpoint-netlink-diag", "File capabilities": "file-capabilities",
}

// lxcCheckconfig runs it, with a configuration of a kernel or that of the one that runs,
// and returns its verdicts by item, and what else it prints.
func lxcCheckconfig(t *testing.T, config string) (verdicts map[string]string, rest []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/lxc-checkconfig")
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	if config != "" {
		cmd.Env = append(cmd.Env, "CONFIG="+config)
	}
	out, err := cmd.Output()
	require.NoError(t, err, "install lxc")
	verdicts = map[string]string{}
	for line := range strings.Lines(string(out)) {
		if m := itemRE.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			verdicts[m[1]] = m[2]
		} else if line = strings.TrimSpace(line); line != "" {
			rest = append(rest, line)
		}
	}
	return verdicts, rest
}

var itemRE = regexp.MustCompile(`^(.+): (enabled|missing|required)(, loaded|, not loaded)?$`)

// absence is how findings say that something is not there.
var absence = regexp.MustCompile(`^(the kernel has no |there is no |no control groups |the hierarchy of systemd is not |groups of v1 cannot |nothing )`)

// requireAgreement: each item of lxc-checkconfig is a finding, with the same verdict.
func requireAgreement(t *testing.T, verdicts map[string]string, list []provision.Finding) {
	t.Helper()
	by := byCheck(list)
	for item, verdict := range verdicts {
		check, ok := items[item]
		require.True(t, ok, "lxc-checkconfig has an item %q that nothing here covers", item)
		found := by[check]
		if found == nil && verdict != "enabled" && strings.HasPrefix(check, "cgroup-") {
			found = by["cgroups"] // without any, there are no controllers to tell of
		}
		require.Len(t, found, 1, "%s: %s", item, check)
		require.NotContains(t, found[0].Message, "it is not known", item)
		require.Equal(t, verdict == "enabled", !absence.MatchString(found[0].Message), "lxc-checkconfig says %s: %s, and we %+v", item, verdict, found[0])
		require.True(t, verdict != "required" || found[0].Severity == fails, "%s: %+v", item, found[0])
	}
}

// TestCheckconfigHere compares with lxc-checkconfig on this machine.
func TestCheckconfigHere(t *testing.T) {
	verdicts, rest := lxcCheckconfig(t, "")
	require.Greater(t, len(verdicts), 25)
	list, err := examine(t.Context(), thisMachine(t))
	require.NoError(t, err)
	requireAgreement(t, verdicts, list)
	text := asText(list)
	by := byCheck(list)
	expected := regexp.MustCompile(`^(LXC version .*|--- .* ---|Cgroup v[12] mount points:|Note : .*|usage : .*|Warning: new[ug]idmap is not setuid-root|Kernel configuration .*)$`)
	for _, line := range rest {
		tool, missing := strings.CutSuffix(line, " is not installed")
		point, mounted := strings.CutPrefix(line, "- ")
		switch {
		case missing:
			require.Contains(t, by[tool][0].Message, line)
		case mounted:
			require.Contains(t, text, point+"\n", "a mount of control groups")
		default:
			require.Regexp(t, expected, line)
		}
	}
}

// TestCheckconfigKernels compares what is made of configurations of other kernels, with
// every option on and off.
func TestCheckconfigKernels(t *testing.T) {
	script, err := os.ReadFile("/usr/bin/lxc-checkconfig")
	require.NoError(t, err, "install lxc")
	options := map[string]bool{"CONFIG_DEVPTS_MULTIPLE_INSTANCES": true, "CONFIG_SMP": true}
	for _, o := range regexp.MustCompile(`CONFIG_[A-Z0-9_]{3,}`).FindAllString(string(script), -1) {
		options[o] = true
	}
	require.Greater(t, len(options), 30)
	seen := map[string]bool{}
	for _, version := range []string{"3.10.0", "4.14.1", "6.1.0"} {
		for _, on := range []bool{true, false} {
			config := "# Linux/x86 " + version + " Kernel Configuration\nCONFIG_X=y\n"
			for _, o := range slices.Sorted(maps.Keys(options)) {
				if on {
					config += o + "=y\n"
				} else {
					config += "# " + o + " is not set\n"
				}
			}
			file := filepath.Join(t.TempDir(), "config")
			require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
			verdicts, _ := lxcCheckconfig(t, file)
			// These it asks the machine for, and the version.
			delete(verdicts, "Cgroup namespace")
			delete(verdicts, "Cgroup v1 clone_children flag")
			delete(verdicts, "File capabilities")
			for item := range verdicts {
				seen[item] = true
			}
			requireAgreement(t, verdicts, configured(t, version, config, on))
		}
	}
	for item := range items {
		asked := strings.HasPrefix(item, "Cgroup v1") || item == "Cgroup namespace" || item == "File capabilities"
		require.True(t, seen[item] || asked, "no kernel has %q", item)
	}
}

// configured examines a machine of which there is a configuration, and control groups
// that are as it says.
func configured(t *testing.T, version, config string, on bool) []provision.Finding {
	t.Helper()
	groups := "#subsys_name hierarchy num_cgroups enabled\n"
	mounts := "1 1 1:1 / / rw - ext4 /dev/vda rw\n"
	if on {
		for _, c := range controllerTable {
			groups += c.v1 + " 1 1 1\n"
			mounts += "2 1 1:2 / /sys/fs/cgroup/" + c.v1 + " rw - cgroup cgroup rw," + c.v1 + "\n"
		}
	}
	m := parseTold(t, "-- proc/sys/kernel/osrelease --\n"+version+"\n-- boot/config-"+version+" --\n"+config+
		"-- proc/self/mountinfo --\n"+mounts+"-- proc/cgroups --\n"+groups).machine()
	list, err := examine(context.Background(), m)
	require.NoError(t, err)
	return list
}
