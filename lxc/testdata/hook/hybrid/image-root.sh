#!/bin/sh
# Made by github.com/guestforge/provision from guest.json, which is what to change.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
guest=/var/lib/lxc/web1
event=/var/lib/lxc/.provision/events/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11
exec 2>>"$guest/hook.log"
hostnet_fail() {
	printf 'provision: %s: %s\n' "$hostnet_nic" "$1" >&2
	exit 1
}
hostnet_need() {
	for hostnet_tool; do
		command -v "$hostnet_tool" >/dev/null || hostnet_fail "the command $hostnet_tool is not installed"
	done
}
# The directory is that of the caller's own network namespace.
hostnet_device() { [ -e "/proc/sys/net/ipv4/conf/$1" ]; }
hostnet_table() { command -v nft >/dev/null && nft list table netdev "$1" >/dev/null 2>&1; }
hostnet_chain() { command -v nft >/dev/null && nft list chain netdev "$1" "$2" >/dev/null 2>&1; }
case ${LXC_HOOK_TYPE-} in
pre-start)
	: >"$guest/hook.log"
	if [ -e "$guest/suspended" ]; then
		echo 'the guest is suspended' >&2
		exit 1
	fi
	: >"$guest/console.log"
PATH=/usr/sbin:/usr/bin:/sbin:/bin
# The mount point itself is always empty. To read mountinfo by the shell, byte for
# byte, takes longer than a process.
root_mounted() {
	for root_name in etc usr bin dev; do
		if [ -h /var/lib/lxc/web1/rootfs/$root_name ] || [ -e /var/lib/lxc/web1/rootfs/$root_name ]; then return 0; fi
	done
	mountpoint -q /var/lib/lxc/web1/rootfs
}
root_fail() {
	echo "cannot mount /var/lib/lxc/web1/rootfs: $1" >&2
	exit 1
}
root_image() {
	mount -t ext4 -o loop,nodev,errors=remount-ro,discard /var/lib/lxc/web1/root.img /var/lib/lxc/web1/lower || return 1
	# Where the file system cannot, the loop device works without.
	losetup --noheadings --output NAME --associated /var/lib/lxc/web1/root.img | while read -r root_dev; do
		losetup --direct-io=on "$root_dev" 2>/dev/null || :
	done
}
root_shift() {
	perl - /var/lib/lxc/web1/lower /var/lib/lxc/web1/rootfs 2105606144 1048580 <<'END_OF_PERL'
# Mounts a tree at another place, with attributes of mount_setattr and ids shifted:
# 0 to 65535 there are BASE to BASE+65535 here.
use strict;
use warnings;
my ($from, $to, $base, $attributes) = @ARGV;
my %numbers = (x86_64 => 272, aarch64 => 97); # unshare(2)
my ($open_tree, $move_mount, $mount_setattr) = (428, 429, 442); # the same on both
use POSIX ();
my $machine = (POSIX::uname())[4];
my $unshare = $numbers{$machine} or die "no system call numbers for $machine\n";

pipe(my $is_done, my $done) or die "pipe: $!\n";
pipe(my $is_ready, my $ready) or die "pipe: $!\n";
my $child = fork() // die "fork: $!\n";
if (!$child) {
	close $done;
	close $is_ready;
	syscall($unshare, 0x10000000) == 0 or die "a user namespace: $!\n"; # CLONE_NEWUSER
	syswrite $ready, "x";
	sysread $is_done, my $byte, 1; # ends with the parent
	POSIX::_exit(0);
}
close $ready;
sysread($is_ready, my $byte, 1) or die "the child made no user namespace\n";
for my $map ("uid_map", "gid_map") {
	open my $f, ">", "/proc/$child/$map" or die "$map: $!\n";
	syswrite $f, "0 $base 65536\n" or die "$map: $!\n";
}
open my $ns, "<", "/proc/$child/ns/user" or die "ns/user: $!\n";
close $done;
waitpid $child, 0;

my $empty = "\0";
# AT_FDCWD; OPEN_TREE_CLONE, O_CLOEXEC, AT_SYMLINK_NOFOLLOW
my $tree = syscall($open_tree, -100, $from, 1 | 02000000 | 0x100);
$tree >= 0 or die "open_tree $from: $!\n";
# struct mount_attr: set, clear, propagation, descriptor.
my $attr = pack "QQQQ", $attributes, 0, 0, fileno $ns;
syscall($mount_setattr, $tree, $empty, 0x1000, $attr, length $attr) == 0 # AT_EMPTY_PATH
	or die "mount_setattr $from (a file system without idmapped mounts?): $!\n";
syscall($move_mount, $tree, $empty, -100, $to, 4) == 0 # MOVE_MOUNT_F_EMPTY_PATH
	or die "move_mount $to: $!\n";
END_OF_PERL
}
root_mount() {
	mkdir -p /var/lib/lxc/web1/lower || return 1
	root_image || return 1
	root_shift
	root_status=$?
	umount -l /var/lib/lxc/web1/lower || return 1
	return $root_status
}
if ! root_mounted; then
	[ -e /var/lib/lxc/web1/root.img ] || root_fail "/var/lib/lxc/web1/root.img is missing"
	root_mount || root_fail "see above"
	root_mounted || root_fail "mount made nothing at /var/lib/lxc/web1/rootfs"
fi
	;;
up)
	case ${LXC_NET_PEER-} in
	pve070453fcf-0)
hostnet_nic='NIC 0 (pve070453fcf-0, bridge br0)'
hostnet_need ip nft
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_e070453fcf86
$1 chain netdev provision_e070453fcf86 nic0 { type filter hook ingress device "pve070453fcf-0" priority 0; policy drop; }
add rule netdev provision_e070453fcf86 nic0 ether saddr != 52:54:00:a1:b2:01 drop comment "foreign MAC, b4c95177"
add rule netdev provision_e070453fcf86 nic0 ether type != { 0x0800, 0x0806, 0x86dd } drop comment "other protocols and VLAN tags, 33147d2e"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip udp sport 67 drop comment "DHCP server, 061a7fd4"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip udp dport 68 drop comment "DHCP answer, 121f184a"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 udp sport 547 drop comment "DHCPv6 server, 13e666ea"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 udp dport 546 drop comment "DHCPv6 answer, a4ad8e20"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 icmpv6 type { 134, 137 } drop comment "router advertisement and redirect, 3027a778"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 icmpv6 type 133 ip6 length > 16 drop comment "long router solicitation, b3f60e09"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 icmpv6 type 133 @th,64,8 1 @th,80,48 != 0x525400a1b201 drop comment "router solicitation of another MAC, 8bfe50d3"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 icmpv6 type { 135, 136 } ip6 length > 32 drop comment "long neighbour message, e10e84e0"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 icmpv6 type { 135, 136 } @th,192,8 { 1, 2 } @th,208,48 != 0x525400a1b201 drop comment "neighbour message of another MAC, 17c7a598"
add rule netdev provision_e070453fcf86 nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:a1:b2:01 accept comment "ARP, b3b1ad60"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip accept comment "IPv4, a6b09192"
add rule netdev provision_e070453fcf86 nic0 ip6 saddr fe80::/10 exthdr frag exists drop comment "fragments from link-local addresses, 35cbb58b"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 accept comment "IPv6, a03304be"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_e070453fcf86 nic0; delete chain netdev provision_e070453fcf86 nic0; add' || hostnet_fail 'its rules cannot be set'
! hostnet_device pie070453fcf-0 || ip link delete dev pie070453fcf-0 || hostnet_fail 'the device of an old limit cannot be removed'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pve070453fcf-0 master br0
link set dev pve070453fcf-0 type bridge_slave isolated off
link show dev pve070453fcf-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pve070453fcf-0 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac
		;;
	esac
	;;
start-host)
	{ echo '-1' >/sys/fs/cgroup/cpu/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.cfs_quota_us; } 2>/dev/null || :
	{ echo '1024' >/sys/fs/cgroup/cpu/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.shares; } 2>/dev/null || :
	{ echo '0-3' >/sys/fs/cgroup/cpuset/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpuset.cpus; } 2>/dev/null || :
	{ echo '0' >/sys/fs/cgroup/cpuset/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/cpuset.cpus; } 2>/dev/null || :
	echo '0' >/sys/fs/cgroup/cpuset/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpuset.cpus
	{ echo -1 >/sys/fs/cgroup/memory/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.memsw.limit_in_bytes; } 2>/dev/null || :
	echo '536870912' >/sys/fs/cgroup/memory/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.limit_in_bytes
	echo '536870912' >/sys/fs/cgroup/memory/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.memsw.limit_in_bytes
	{ echo 'max' >/sys/fs/cgroup/pids/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/pids.max; } 2>/dev/null || :
	: >"$event"
	;;
post-stop)
hostnet_nic='NIC 0 (pve070453fcf-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pve070453fcf-0 || ip link delete dev pve070453fcf-0 || ! hostnet_device pve070453fcf-0 || hostnet_status=1
! hostnet_device pie070453fcf-0 || ip link delete dev pie070453fcf-0 || ! hostnet_device pie070453fcf-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_e070453fcf86 2>/dev/null || ! hostnet_table provision_e070453fcf86 || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
	: >"$event"
	;;
esac
