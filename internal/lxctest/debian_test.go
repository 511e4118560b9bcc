//go:build linux

package lxctest_test

import (
	"cmp"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/internal/testrig"
)

// The hash is of the password "test".
const debianHash = "$6$saltsalt$JcVDtuB6d1BHhCd5RPBh8g8xX/1CbY8EU2PN0MTaj2/Mypw4P./C6dN4j0HALhzBDTocyW1Jm.gYaTPjFGCV40"

// debian is the guest of TestDebian.
type debian struct {
	*provision.Guest
	spec    provision.Spec
	keyFile string
}

// TestDebian boots the init of a real distribution, and compares what is inside with
// what was asked for. All that is inside is seen by SSH, as its owner does.
func TestDebian(t *testing.T) {
	d := startDebian(t)
	t.Run("boots", d.boots)
	t.Run("name", d.names)
	t.Run("access", d.access)
	t.Run("network", d.network)
	t.Run("reboot", d.reboot)
	t.Run("stop", d.stop)
}

func startDebian(t *testing.T) *debian {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	archive, err := testrig.CachedDebianRoot(ctx, cmp.Or(os.Getenv("TESTRIG_CACHE"), t.TempDir()))
	require.NoError(t, err)
	h := lxcrig.Open(t, lxcrig.Machine(t))
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close()
	_, err = h.ImportImage(ctx, "debian-12", f, &provision.ImportOptions{Format: "tar"})
	require.NoError(t, err)

	d := &debian{keyFile: filepath.Join(t.TempDir(), "key")}
	lxcrig.Run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@example.net", "-f", d.keyFile)
	key, err := os.ReadFile(d.keyFile + ".pub")
	require.NoError(t, err)
	lxcrig.Run(t, "ip", "addr", "replace", "192.0.2.1/24", "dev", lxcrig.Bridge)
	lxcrig.Run(t, "ip", "addr", "replace", "2001:db8::1/64", "dev", lxcrig.Bridge, "nodad")
	d.spec = debianSpec(strings.TrimSpace(string(key)))
	d.Guest, err = h.Create(ctx, d.spec, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, d.Delete(context.WithoutCancel(t.Context()), &provision.DeleteOptions{Force: true}))
	})
	t.Cleanup(func() {
		if t.Failed() {
			text, err := os.ReadFile(filepath.Join(h.Info().Machine, "debian/console.log"))
			t.Logf("console (%v):\n%s", err, text)
		}
	})
	plan, err := h.Plan(ctx, d.spec)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, plan.Action, "addresses that the guest sets itself are no drift: %s", plan)
	began := time.Now()
	require.NoError(t, d.Start(ctx, nil))
	d.ready(t)
	t.Logf("SSH answers after %.2f s", time.Since(began).Seconds())
	return d
}

func debianSpec(key string) provision.Spec {
	return provision.Spec{
		Name: "debian", Hostname: "web1.example.net", Image: "debian-12",
		CPU: provision.CPU{Count: 2, Limit: 1.5}, Memory: provision.Memory{Size: 256 * provision.MiB},
		Limits: provision.Limits{Processes: 300},
		NICs: []provision.NIC{
			{Bridge: lxcrig.Bridge, Addresses: prefixes("192.0.2.10/24", "2001:db8::10/64"), Rate: provision.Rate{In: 100 * provision.Mbit, Out: 100 * provision.Mbit},
				Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
			{Bridge: lxcrig.Bridge, Addresses: prefixes("10.1.0.2/31", "2001:db8:1::7/64")},
		},
		DNS:    provision.DNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}, Search: []string{"example.net"}},
		Access: provision.Access{User: "admin", AuthorizedKeys: []string{key}, PasswordHash: debianHash},
	}
}

// ssh runs a command of the shell inside as root, and returns what it says.
func (d *debian) ssh(ctx context.Context, command string) (string, error) {
	out, err := exec.CommandContext(ctx, "ssh", "-i", d.keyFile, "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "admin@192.0.2.10", "sudo -n sh -c '"+command+"'").CombinedOutput()
	return string(out), err
}

// ok is ssh for what must succeed.
func (d *debian) ok(t *testing.T, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := d.ssh(ctx, command)
	require.NoError(t, err, "%s: %s", command, out)
	return out
}

// ready waits until one can log in.
func (d *debian) ready(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		out, err := d.ssh(t.Context(), "true")
		assert.NoError(c, err, out)
	}, 2*time.Minute, 100*time.Millisecond)
}

// boots: a unit that fails is one that cannot work in this container.
func (d *debian) boots(t *testing.T) {
	state := d.ok(t, "systemctl is-system-running --wait || systemctl --failed --plain --no-legend")
	require.Equal(t, "running\n", state)
	require.Equal(t, "systemd\n", d.ok(t, "cat /proc/1/comm"))
	mapped := strings.Fields(d.ok(t, "cat /proc/self/uid_map"))
	require.Equal(t, "0", mapped[0])
	require.NotEqual(t, "0", mapped[1], "root inside is nobody outside")
}

func (d *debian) names(t *testing.T) {
	require.Equal(t, "web1\n", d.ok(t, "hostname"))
	require.Equal(t, "web1.example.net\n", d.ok(t, "hostname -f"))
	require.Len(t, strings.TrimSpace(d.ok(t, "cat /etc/machine-id")), 32)
}

func (d *debian) access(t *testing.T) {
	require.Equal(t, d.spec.Access.AuthorizedKeys[0]+"\n", d.ok(t, "cat /home/admin/.ssh/authorized_keys"))
	require.Equal(t, "600 admin\n", d.ok(t, `stat -c "%a %U" /home/admin/.ssh/authorized_keys`))
	require.Equal(t, debianHash, strings.Split(d.ok(t, "getent shadow admin"), ":")[1])
	require.Contains(t, d.ok(t, "getent shadow root"), "root:*:")
}

func (d *debian) network(t *testing.T) {
	for i, n := range d.spec.NICs {
		text := d.ok(t, "ip addr show dev eth"+string(rune('0'+i)))
		for _, a := range n.Addresses {
			require.Contains(t, text, " "+a.String()+" ")
		}
	}
	require.Contains(t, d.ok(t, "ip route show default"), "default via 192.0.2.1 dev eth0")
	require.Contains(t, d.ok(t, "ip -6 route show default"), "default via 2001:db8::1 dev eth0")
	require.EventuallyWithT(t, func(c *assert.CollectT) { // by the guest's own network manager
		state, err := d.ssh(t.Context(), "networkctl --no-pager --no-legend list eth0")
		assert.NoError(c, err)
		assert.Contains(c, state, "configured")
	}, time.Minute, 100*time.Millisecond)
	dns := d.ok(t, "resolvectl status")
	require.Contains(t, dns, "192.0.2.53")
	require.Contains(t, dns, "2001:db8::53")
	require.Contains(t, dns, "example.net")
	lxcrig.Run(t, "busybox", "ping", "-c", "1", "-W", "20", "2001:db8::10")
}

// reboot: what holds a guest does so again after it has rebooted itself, although the
// kernel has thrown its control groups and network devices away.
func (d *debian) reboot(t *testing.T) {
	const begin = "cut -d\" \" -f22 /proc/1/stat"
	before, err := d.Status(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, before.Limits)
	rules := lxcrig.Run(t, "nft", "list", "ruleset")
	require.Contains(t, rules, "provision_")
	was := d.ok(t, begin)
	_, _ = d.ssh(t.Context(), "systemctl reboot") // breaks the connection off, or not
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		now, err := d.ssh(t.Context(), begin)
		assert.NoError(c, err, now)
		assert.NotEqual(c, was, now)
	}, 2*time.Minute, 100*time.Millisecond)
	after, err := d.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, before.Limits, after.Limits)
	require.Equal(t, before.NICs, after.NICs)
	require.Equal(t, rules, lxcrig.Run(t, "nft", "list", "ruleset"))
}

func (d *debian) stop(t *testing.T) {
	began := time.Now()
	result, err := d.Stop(t.Context(), &provision.StopOptions{Grace: 30 * time.Second})
	require.NoError(t, err)
	require.Equal(t, provision.StopShut, result)
	t.Logf("shut down after %.2f s", time.Since(began).Seconds())
}
