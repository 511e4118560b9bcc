//go:build linux

package lxctest_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/internal/roots"
	"github.com/guestforge/provision/lxc"
)

// inV2 runs a script of the shell in a guest, and returns what it said and its status.
func inV2(t *testing.T, path, name, script string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "lxc-attach", "-P", path, "-n", name, "--clear-env", "--", "/bin/sh", "-c", script)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// groupV2 returns where the only guest of a machine has its limits.
func groupV2(t *testing.T, path string) string {
	t.Helper()
	found, err := filepath.Glob("/sys/fs/cgroup/" + lxc.GroupsOf(path) + "/*/guest")
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

func readV2(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}

// A guest with every limit has all of them in the kernel, and can lift none.
func v2Limited(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	s := lxcrig.Spec("limited")
	s.CPU = provision.CPU{Count: 1, Limit: 0.75, Weight: 300}
	s.Memory.Swap, s.Memory.Guaranteed = 16*provision.MiB, true
	s.Limits = provision.Limits{Processes: 40, OpenFiles: 512}
	s.Disks = []provision.Disk{{Size: 64 * provision.MiB, Inodes: 4096, IOPS: 500, BPS: 4 * provision.MiB}}
	n := &s.NICs[0]
	n.VLAN, n.Isolated, n.AntiSpoof, n.MTU = 100, true, provision.On, 1400
	n.Addresses = []netip.Prefix{netip.MustParsePrefix("10.77.0.2/24")}
	n.Rate = provision.Rate{In: 50_000_000, Out: 20_000_000}
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	v2Told(t, g)
	v2Kernel(t, path)
	v2Grows(t, path)
	v2Inside(t, path)

	require.NoError(t, g.Pause(t.Context()))
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StatePaused, st.State)
	require.Contains(t, readV2(t, groupV2(t, path)+"/cgroup.events"), "frozen 1")
	require.NoError(t, g.Resume(t.Context()))
	st, err = g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State)
	require.NoError(t, g.Pause(t.Context()))
	require.NoError(t, g.Resume(t.Context()))
	_, status := inV2(t, path, "limited", "dd if=/dev/zero of=/dev/null bs=150M count=1")
	require.Equal(t, 128+9, status, "more memory than there is")
	st, err = g.Status(t.Context())
	require.NoError(t, err)
	if st.State != provision.StateRunning { // the kernel has killed the first process too
		require.NoError(t, g.Start(t.Context(), nil))
	}
	_, status = inV2(t, path, "limited", "i=0; while [ $i -lt 60 ]; do sleep 60 >/dev/null 2>&1 & i=$((i+1)); done")
	require.NotZero(t, status, "more processes than there are")
	require.NoError(t, g.Pause(t.Context()))
	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err, "it is killed by its control group")
	require.Equal(t, "0", readV2(t, "/sys/fs/cgroup/provision.lxc/memory.min"), "nothing is guaranteed any more")
	require.NoError(t, g.Delete(t.Context(), nil))
	require.Equal(t, []string{".provision/images/" + lxcrig.Image}, lxcrig.Leftovers(t, path))
}

// v2Told: the status says that all of it is enforced.
func v2Told(t *testing.T, g *provision.Guest) {
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State)
	have := map[string]string{}
	for _, l := range st.Limits {
		if l.Want != "" { // a switch has no amount
			require.Equal(t, l.Want, l.Have, "%s", l.Path)
		}
		if !strings.HasPrefix(l.Path, "disks[0].") { // reads and writes are limited apart
			require.Equal(t, provision.Enforced, l.Enforcement, "%s: %s", l.Path, l.Reason)
		}
		have[l.Path] = l.Have
	}
	for _, path := range []string{"cpu.count", "cpu.limit", "cpu.weight", "memory.size", "memory.swap", "memory.guaranteed", "limits.processes", "limits.openFiles",
		"disks[0].size", "disks[0].inodes", "disks[0].iops", "disks[0].bps", "nics[0].antiSpoof", "nics[0].rate.in", "nics[0].rate.out", "nics[0].isolated"} {
		require.Contains(t, have, path)
	}
}

// v2Kernel: what the files of the kernel say, without our own readers.
func v2Kernel(t *testing.T, path string) {
	guest := groupV2(t, path)
	for file, want := range map[string]string{
		"cpu.max": "75000 100000", "cpu.weight": "300", "cpuset.cpus.effective": "0", "memory.max": "67108864", "memory.swap.max": "16777216",
		"memory.min": "67108864", "../memory.min": "67108864", "../../memory.min": "67108864", "../../../memory.min": "67108864", "pids.max": "40",
	} {
		require.Equal(t, want, readV2(t, filepath.Join(guest, file)), "%s", file)
	}
	require.Regexp(t, `^7:\d+ rbps=4194304 wbps=4194304 riops=500 wiops=500$`, readV2(t, guest+"/io.max"), "of the loop device")
	init := strings.Fields(readV2(t, guest+"/ns/cgroup.procs"))[0]
	require.Regexp(t, `^lxc-limited_.*\(enforce\)$`, readV2(t, "/proc/"+init+"/attr/current"))
	require.Contains(t, readV2(t, "/proc/"+init+"/status"), "Seccomp:\t2\n")
	links, err := filepath.Glob("/sys/class/net/pv*-0")
	require.NoError(t, err)
	require.Len(t, links, 1)
	dev := filepath.Base(links[0])
	require.Regexp(t, `\b100 PVID Egress Untagged`, lxcrig.Run(t, "bridge", "vlan", "show", "dev", dev))
	require.Contains(t, lxcrig.Run(t, "ip", "-d", "link", "show", "dev", dev), " isolated on ")
	require.Contains(t, lxcrig.Run(t, "nft", "list", "ruleset"), "fwd to")
}

// v2Inside is what root in the guest comes to.
func v2Inside(t *testing.T, path string) {
	out, status := inV2(t, path, "limited", "ping -c 1 -W 10 10.77.0.1")
	require.Zero(t, status, "through rules, ifb, queue and VLAN: %s", out)
	out, status = inV2(t, path, "limited", "ip address add 10.77.0.9/24 dev eth0 && ping -c 2 -W 1 -I 10.77.0.9 10.77.0.1")
	require.NotZero(t, status, "with an address that is not its own: %s", out)
	require.Contains(t, out, "100% packet loss")

	guest := groupV2(t, path)
	out, _ = inV2(t, path, "limited", `mount -t cgroup2 cgroup2 /sys/fs/cgroup; cd /sys/fs/cgroup
		for f in memory.max memory.min pids.max cpu.max io.max ../memory.max; do echo max >$f; done; echo $$ >../cgroup.procs`)
	require.Equal(t, "67108864", readV2(t, guest+"/memory.max"), out)
	require.Equal(t, "40", readV2(t, guest+"/pids.max"), out)
}

// v2Grows: a root grows under a guest that runs, which sees it.
func v2Grows(t *testing.T, path string) {
	var d struct {
		Base uint32
		Spec provision.Spec
	}
	dir := filepath.Join(path, "limited")
	require.NoError(t, json.Unmarshal([]byte(readV2(t, dir+"/guest.json")), &d))
	r := roots.Root{Dir: dir, Kind: roots.ImageFile, Base: d.Base, Image: path + "/.provision/images/" + lxcrig.Image + "/tree", Size: int64(d.Spec.Disks[0].Size)}
	size := func() string {
		out, status := inV2(t, path, "limited", "df -k / | tail -n 1")
		require.Zero(t, status, out)
		return strings.Fields(out)[1]
	}
	before := size()
	require.NoError(t, r.Grow(t.Context(), int64(128*provision.MiB)))
	require.NotEqual(t, before, size())
	info, err := os.Stat(r.Store())
	require.NoError(t, err)
	require.Equal(t, int64(128*provision.MiB), info.Size())
}

// A guest on an overlay comes up by lxc-start alone after its mounts are gone, as they
// are when the host was started anew, and shuts down when it is asked to.
func v2Overlay(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	s := lxcrig.Spec("over")
	s.NICs = nil
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	lxcrig.Run(t, "umount", filepath.Join(path, "over", "rootfs"))
	err = lxcrig.StartOutside(t, path, "over")
	said, _ := os.ReadFile(path + "/over/hook.log") // absent: it said nothing
	require.NoError(t, err, "%s", said)
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State)
	out, status := inV2(t, path, "over", "stat -c %u:%g /bin/busybox /etc && touch /etc/made")
	require.Zero(t, status, out)
	require.Equal(t, "0:0\n0:0\n", out, "the image's files are the guest's own")
	how, err := g.Stop(t.Context(), &provision.StopOptions{Grace: 30 * time.Second})
	require.NoError(t, err)
	require.Equal(t, provision.StopShut, how)
	require.NoError(t, g.Delete(t.Context(), nil))
	require.Equal(t, []string{".provision/images/" + lxcrig.Image}, lxcrig.Leftovers(t, path))
}

// What Check finds here, where this machine has all that it looks for.
func v2Check(t *testing.T) {
	h := lxcrig.Open(t, lxcrig.Machine(t))
	list, err := h.Check(t.Context())
	require.NoError(t, err)
	found := map[string]provision.Severity{}
	for _, f := range list {
		t.Logf("%-24s %-8s %s [%s]", f.Check, f.Severity, f.Message, f.Evidence)
		found[f.Check] = f.Severity
	}
	// Of these, this machine has one or the other not.
	for _, check := range []string{"cgroups", "cgroup-devices", "cgroup-freezer", "cgroup-delegation", "cgroup-nsdelegate", "cgroup-recursiveprot", "cgroup-swap",
		"idmap", "overlay", "overlay-idmap", "loop", "project-quota", "apparmor", "seccomp", "vlan", "ifb", "nf-tables-netdev", "sch-tbf"} {
		require.Equal(t, provision.SeverityInfo, found[check], check)
	}
	for check, severity := range found {
		require.NotEqual(t, provision.SeverityError, severity, check)
	}
}
