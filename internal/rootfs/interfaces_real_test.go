//go:build linux

package rootfs

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// upScript brings the interfaces of the file $1 up twice in namespaces of its own,
// on links that are as the host leaves them, and prints what there is then.
const upScript = `set -e
mount -t tmpfs none /run
mount -t tmpfs none /etc/network
mkdir /etc/network/if-pre-up.d /etc/network/if-up.d
for i in 0 1; do
	/sbin/ip link add eth$i type veth peer peer$i
	/sbin/ip link set peer$i up
done
if [ -n "$2" ]; then # what the host has set before init
	/sbin/ip link set eth0 mtu 1400 up
	/sbin/ip link set eth1 up
	/sbin/ip addr add 192.0.2.10/24 brd + dev eth0
	/sbin/ip addr add 2001:db8::10/64 dev eth0
	/sbin/ip addr add 10.7.0.5/32 dev eth1
	/sbin/ip route add default via 192.0.2.1 dev eth0
	/sbin/ip route add 10.6.0.1 dev eth1
fi
for i in 0 1 0 1; do busybox ifup -f -i "$1" eth$i 2>&1; done
for i in 0 1; do
	/sbin/ip -o link show dev eth$i | grep -o "mtu [0-9]*"
	/sbin/ip -o addr show dev eth$i scope global | sed 's/ *valid_lft.*//; s/tentative//; s/^[0-9]*: //'
done
/sbin/ip -4 route show default
/sbin/ip -6 route show default
/sbin/ip route show 10.6.0.1
`

// TestInterfacesReally: ifup of busybox, with its own ip and with that of iproute2,
// makes of the file what was asked for, also where the host has set part of it.
func TestInterfacesReally(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(busybox, filepath.Join(dir, "ip")))
	file := filepath.Join(dir, "interfaces")
	nics := firstBoot().NICs
	nics[1].Gateways = append(nics[1].Gateways, netip.MustParseAddr("2001:db8:1::1"))
	nics[1].Addresses = append(nics[1].Addresses, prefixes("2001:db8:2::5/128")...)
	text := setInterfaces([]byte("auto lo\niface lo inet loopback\n"), []string{"eth0", "eth1"}, interfacesBlock(links(nics)))
	require.NoError(t, os.WriteFile(file, text, 0o600))
	for name, path := range map[string]string{"busybox": dir + ":/usr/bin:/bin", "iproute2": "/sbin:/usr/bin:/bin"} {
		for _, set := range []string{"", "set"} {
			cmd := exec.CommandContext(t.Context(), "unshare", "-mn", "sh", "-c", upScript, "sh", file, set)
			cmd.Env = []string{"PATH=" + path}
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s %q: %s", name, set, out)
			var lines []string
			for l := range strings.Lines(string(out)) {
				lines = append(lines, strings.Join(strings.Fields(l), " "))
			}
			require.ElementsMatch(t, []string{
				"mtu 1400",
				"eth0 inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\\",
				"eth0 inet 192.0.2.11/32 scope global eth0\\",
				"eth0 inet6 2001:db8::10/64 scope global \\",
				"mtu 1500",
				"eth1 inet 10.7.0.5/32 scope global eth1\\",
				"eth1 inet6 2001:db8:2::5/128 scope global \\",
				"default via 192.0.2.1 dev eth0",
				"default via 10.6.0.1 dev eth1 metric 100",
				"default via fe80::1 dev eth0 metric 1024 pref medium",
				"default via 2001:db8:1::1 dev eth1 metric 1124 pref medium",
				"10.6.0.1 dev eth1 scope link",
			}, lines, "%s %q: %s", name, set, out)
		}
	}
}
