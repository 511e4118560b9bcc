//go:build linux

package debiantest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// The hash is of the password "test".
const debianHash = "$6$saltsalt$JcVDtuB6d1BHhCd5RPBh8g8xX/1CbY8EU2PN0MTaj2/Mypw4P./C6dN4j0HALhzBDTocyW1Jm.gYaTPjFGCV40"

// debian is the guest of TestDebian.
type debian struct {
	*provision.Guest
	rig     *testrig.Libvirt
	backend *kvm.Backend
	spec    provision.Spec
	keyFile string
}

// TestDebian boots a real distribution with cloud-init, once, and compares what is
// inside with what was asked for.
func TestDebian(t *testing.T) {
	d := startDebian(t)
	t.Run("cloud-init", d.cloudInit)
	t.Run("name", d.names)
	t.Run("access", d.access)
	t.Run("network", d.network)
	t.Run("disk", d.disk)
	t.Run("exec", d.exec)
	t.Run("ssh", d.ssh)
	t.Run("freeze", d.freeze)
	t.Run("stop", d.stop)
}

func startDebian(t *testing.T) *debian {
	t.Helper()
	d := &debian{keyFile: filepath.Join(t.TempDir(), "key")}
	var cache string
	d.rig, cache = testrig.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	began := time.Now()
	lap := func(what string) {
		t.Logf("%s: %.1f s", what, time.Since(began).Seconds())
		began = time.Now()
	}
	image, err := testrig.CachedDebian(ctx, cache)
	require.NoError(t, err)
	lap("image built or found")

	d.backend = kvm.New(&kvm.Options{URI: d.rig.URI, Emulation: kvm.EmulateAlways})
	h, err := provision.Open(ctx, d.backend, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	f, err := os.Open(image)
	require.NoError(t, err)
	defer f.Close()
	_, err = h.ImportImage(ctx, "debian-12", f, &provision.ImportOptions{Format: "qcow2"})
	require.NoError(t, err)
	lap("image imported")

	_, err = d.rig.Inside(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@example.net", "-f", d.keyFile)
	require.NoError(t, err)
	key, err := os.ReadFile(d.keyFile + ".pub")
	require.NoError(t, err)
	_, err = d.rig.Inside(ctx, "ip", "addr", "add", "2001:db8::1/64", "dev", d.rig.Bridge, "nodad")
	require.NoError(t, err)
	d.spec = debianSpec(strings.TrimSpace(string(key)))
	d.Guest, err = h.Create(ctx, d.spec, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, d.Delete(context.WithoutCancel(t.Context()), &provision.DeleteOptions{Force: true}))
	})
	require.NoError(t, d.Start(ctx, nil))
	lap("created and started")
	t.Cleanup(func() {
		if t.Failed() {
			text, err := d.ConsoleLog(context.WithoutCancel(t.Context()), 0)
			t.Logf("console (%v):\n%s", err, text)
		}
	})
	_, err = d.Wait(ctx, provision.UntilExec())
	require.NoError(t, err)
	lap("the agent answers")
	_ = d.ok(t, "cloud-init", "status", "--wait")
	lap("cloud-init is done")
	return d
}

func debianSpec(key string) provision.Spec {
	return provision.Spec{
		Name: "debian", Hostname: "web1.example.net", Image: "debian-12",
		CPU: provision.CPU{Count: 1}, Memory: provision.Memory{Size: 512 * provision.MiB},
		Disks: []provision.Disk{{Size: 5 * provision.GiB}},
		NICs: []provision.NIC{
			{Bridge: "br0", MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, 1}, Addresses: prefixes("10.1.0.2/31", "2001:db8:1::7/64")},
			{Bridge: "br0", MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, 2}, Addresses: prefixes("192.0.2.10/24", "2001:db8::10/64"),
				Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
		},
		DNS:      provision.DNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}, Search: []string{"example.net"}},
		Access:   provision.Access{User: "admin", AuthorizedKeys: []string{key}, PasswordHash: debianHash},
		UserData: []byte("#cloud-config\nwrite_files:\n  - {path: /root/written, content: \"é '\\\"\\n\", permissions: '0640'}\nruncmd:\n  - [sh, -c, 'echo ran $(id -u) >/root/ran']\n"),
	}
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// ok runs a program that must succeed, and returns what it says.
func (d *debian) ok(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	r, err := d.Exec(ctx, argv, &provision.ExecOptions{Stdout: &out, Stderr: &errs})
	require.NoError(t, err, "%v", argv)
	require.True(t, r.OK(), "%v: %s: %s%s", argv, r, out.String(), errs.String())
	return out.String()
}

func (d *debian) cloudInit(t *testing.T) {
	require.Contains(t, d.ok(t, "cloud-init", "status", "--long"), "status: done")
	t.Log(d.ok(t, "systemd-analyze"))
	complaints := d.ok(t, "sh", "-c", "grep -E 'WARN|ERROR|Traceback' /var/log/cloud-init.log || true")
	require.Empty(t, complaints)
	require.Equal(t, string(d.ID()), strings.TrimSpace(d.ok(t, "cat", "/run/cloud-init/.instance-id")))
	require.Contains(t, d.ok(t, "cat", "/run/cloud-init/result.json"), "DataSourceNoCloud [seed=/dev/vdb]")
	require.Equal(t, "é '\"\n", d.ok(t, "cat", "/root/written"))
	require.Equal(t, "640\n", d.ok(t, "stat", "-c", "%a", "/root/written"))
	require.Equal(t, "ran 0\n", d.ok(t, "cat", "/root/ran"))
}

func (d *debian) names(t *testing.T) {
	require.Equal(t, "web1\n", d.ok(t, "hostname"))
	require.Equal(t, "web1.example.net\n", d.ok(t, "hostname", "-f"))
}

func (d *debian) access(t *testing.T) {
	require.Equal(t, d.spec.Access.AuthorizedKeys[0]+"\n", d.ok(t, "cat", "/home/admin/.ssh/authorized_keys"))
	require.Equal(t, "600 admin\n", d.ok(t, "stat", "-c", "%a %U", "/home/admin/.ssh/authorized_keys"))
	require.Equal(t, debianHash, strings.Split(d.ok(t, "getent", "shadow", "admin"), ":")[1])
	require.Contains(t, d.ok(t, "sudo", "-l", "-U", "admin"), "NOPASSWD: ALL")
	require.Contains(t, d.ok(t, "getent", "passwd", "admin"), ":/bin/bash")
	require.Equal(t, "root:*", d.ok(t, "sh", "-c", "getent shadow root | cut -d: -f1-2 | tr -d '\\n'"))
	require.NotContains(t, d.ok(t, "cat", "/etc/passwd"), "\ndebian:", "the image's own user is not made beside")
}

func (d *debian) network(t *testing.T) {
	var links []struct {
		Name  string `json:"ifname"`
		MAC   string `json:"address"`
		Addrs []struct {
			Local string `json:"local"`
			Len   int    `json:"prefixlen"`
			Scope string `json:"scope"`
		} `json:"addr_info"`
	}
	require.NoError(t, json.Unmarshal([]byte(d.ok(t, "ip", "-j", "addr")), &links))
	have, names := map[string][]string{}, map[string]string{}
	for _, l := range links {
		names[l.MAC] = l.Name
		for _, a := range l.Addrs {
			if a.Scope == "global" {
				have[l.MAC] = append(have[l.MAC], fmt.Sprintf("%s/%d", a.Local, a.Len))
			}
		}
	}
	for _, n := range d.spec.NICs {
		var want []string
		for _, a := range n.Addresses {
			want = append(want, a.String())
		}
		require.ElementsMatch(t, want, have[n.MAC.String()], "NIC %s", n.MAC)
	}
	second := names["52:54:00:a1:b2:02"]
	require.Contains(t, d.ok(t, "ip", "route", "show", "default"), "default via 192.0.2.1 dev "+second)
	require.Contains(t, d.ok(t, "ip", "-6", "route", "show", "default"), "default via 2001:db8::1 dev "+second)
	dns := d.ok(t, "resolvectl", "status")
	require.Contains(t, dns, "192.0.2.53")
	require.Contains(t, dns, "2001:db8::53")
	require.Contains(t, dns, "DNS Domain: example.net")
	for _, a := range []string{"192.0.2.10", "2001:db8::10"} {
		_, err := d.rig.Inside(t.Context(), "busybox", "ping", "-c", "1", "-W", "20", a)
		require.NoError(t, err)
	}
}

func (d *debian) disk(t *testing.T) {
	var size int64
	_, err := fmt.Sscan(d.ok(t, "sh", "-c", "df -B1 --output=size / | tail -n 1"), &size)
	require.NoError(t, err)
	require.Greater(t, size, int64(9*provision.GiB/2), "the root file system has grown to the disk's 5 GiB")
	require.Equal(t, "1\n", d.ok(t, "cat", "/sys/block/vdb/ro"), "the seed cannot be written")
}

// exec tries the shell and the tools of a distribution; the rest is in the suite, with
// busybox.
func (d *debian) exec(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	r, err := d.Exec(ctx, []string{"sh", "-c", "cat; echo err >&2; echo $A; exit 3"},
		&provision.ExecOptions{Stdin: strings.NewReader("in\n"), Stdout: &out, Stderr: &errs, Env: []string{"A=b c"}})
	require.NoError(t, err)
	require.Equal(t, provision.ExecResult{Code: 3}, r)
	require.Equal(t, "in\nb c\n", out.String())
	require.Equal(t, "err\n", errs.String())
	out.Reset()
	r, err = d.Exec(ctx, []string{"head", "-c", "3000000", "/dev/zero"}, &provision.ExecOptions{Stdout: &out})
	require.NoError(t, err)
	require.Equal(t, provision.ExecResult{Truncated: true}, r)
	require.Equal(t, 1<<20, out.Len())
	_, err = d.Exec(ctx, []string{"nonexistent"}, &provision.ExecOptions{Stdout: &out})
	require.ErrorIs(t, err, provision.ErrInvalid)
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = d.Exec(short, []string{"sh", "-c", "sleep 4711; echo"}, &provision.ExecOptions{Stdout: &out})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, d.ok(t, "ps", "ax"), "sleep 4711")
}

// ssh logs in from the host, as the owner of the key does.
func (d *debian) ssh(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := d.rig.Inside(ctx, "ssh", "-i", d.keyFile, "-o", "BatchMode=yes", "-o", "ConnectTimeout=30",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "admin@192.0.2.10", "sudo -n id -u; hostname")
	require.NoError(t, err)
	require.Equal(t, "0\nweb1\n", out)
}

// freeze: what is written while the file systems are frozen waits, and goes on after.
func (d *debian) freeze(t *testing.T) {
	const hold = 4
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_ = d.ok(t, "sh", "-c", `(while :; do echo x >/root/beat; cut -d. -f1 /proc/uptime >>/run/beats; sleep 0.2; done) >/dev/null 2>&1 &`)
	n, err := d.backend.FreezeFilesystems(ctx, d.ID())
	require.NoError(t, err)
	require.Positive(t, n)
	_, err = d.Exec(ctx, []string{"true"}, nil)
	require.ErrorIs(t, err, provision.ErrState, "the agent of a frozen guest runs nothing")
	time.Sleep(hold * time.Second)
	thawed, err := d.backend.ThawFilesystems(ctx, d.ID())
	require.NoError(t, err)
	require.Equal(t, n, thawed)
	again, err := d.backend.ThawFilesystems(ctx, d.ID())
	require.NoError(t, err)
	require.Zero(t, again, "nothing is frozen any more")
	beats := d.ok(t, "sh", "-c", "rm /run/beats.old 2>/dev/null; mv /run/beats /run/beats.old; until [ -s /run/beats ]; do sleep 0.1; done; cat /run/beats.old")
	last, longest := 0, 0 // in seconds
	for line := range strings.Lines(beats) {
		now, err := strconv.Atoi(strings.TrimSpace(line))
		require.NoError(t, err)
		if last != 0 {
			longest = max(longest, now-last)
		}
		last = now
	}
	require.GreaterOrEqual(t, longest, hold-1, "nothing was written for as long")
}

func (d *debian) stop(t *testing.T) {
	began := time.Now()
	result, err := d.Stop(t.Context(), &provision.StopOptions{Grace: 2 * time.Minute})
	require.NoError(t, err)
	require.Equal(t, provision.StopAgent, result)
	t.Logf("shut down after %.1f s", time.Since(began).Seconds())
}
