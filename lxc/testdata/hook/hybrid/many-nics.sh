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
root_shift() {
	perl - /var/lib/lxc/.provision/images/debian-12/tree /var/lib/lxc/web1/lower 2105606144 1048581 <<'END_OF_PERL'
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
	root_shift || return 1
	mount -t overlay -o nodev,lowerdir=/var/lib/lxc/web1/lower,upperdir=/var/lib/lxc/web1/upper,workdir=/var/lib/lxc/web1/work,index=off,metacopy=off,nfs_export=off,redirect_dir=on overlay /var/lib/lxc/web1/rootfs
	root_status=$?
	umount -l /var/lib/lxc/web1/lower || return 1
	return $root_status
}
if ! root_mounted; then
	[ -e /var/lib/lxc/web1/upper ] || root_fail "/var/lib/lxc/web1/upper is missing"
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
add rule netdev provision_e070453fcf86 nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:a1:b2:01 arp saddr ip { 192.0.2.10 } accept comment "ARP of own addresses, d2a836b7"
add rule netdev provision_e070453fcf86 nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:a1:b2:01 arp saddr ip 0.0.0.0 arp daddr ip { 192.0.2.10 } accept comment "ARP probe for own addresses (RFC 5227), 9f887287"
add rule netdev provision_e070453fcf86 nic0 ip saddr { 192.0.2.10 } accept comment "own IPv4 addresses, 881dd1f8"
add rule netdev provision_e070453fcf86 nic0 meta protocol ip6 icmpv6 type 136 @th,64,128 != { 0x20010db8000000000000000000000010, 0xfe80000000000000505400fffea1b201 } drop comment "neighbour advertisement of other addresses, 7a60d8a6"
add rule netdev provision_e070453fcf86 nic0 ip6 saddr { 2001:db8::10 } accept comment "own IPv6 addresses, 798e4553"
add rule netdev provision_e070453fcf86 nic0 ip6 saddr fe80::5054:ff:fea1:b201 meta l4proto { 6, 17 } accept comment "TCP and UDP of the link-local address, a17179f6"
add rule netdev provision_e070453fcf86 nic0 ip6 saddr fe80::5054:ff:fea1:b201 icmpv6 type { 128-136, 143 } accept comment "ICMPv6 of the link-local address, f0a66cb9"
add rule netdev provision_e070453fcf86 nic0 ip6 saddr :: icmpv6 type 135 @th,64,128 { 0x20010db8000000000000000000000010, 0xfe80000000000000505400fffea1b201 } accept comment "are own addresses taken?, c35f50ae"
add rule netdev provision_e070453fcf86 nic0 ip6 saddr :: icmpv6 type 143 accept comment "multicast report before an address, d682c534"
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
	pve070453fcf-1)
hostnet_nic='NIC 1 (pve070453fcf-1, bridge br1)'
hostnet_need ip
! hostnet_chain provision_e070453fcf86 nic1 || nft delete chain netdev provision_e070453fcf86 nic1 || hostnet_fail 'its old rules cannot be removed'
! hostnet_device pie070453fcf-1 || ip link delete dev pie070453fcf-1 || hostnet_fail 'the device of an old limit cannot be removed'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pve070453fcf-1 mtu 9000
link set dev pve070453fcf-1 master br1
link set dev pve070453fcf-1 type bridge_slave isolated off
link show dev pve070453fcf-1
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pve070453fcf-1 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac
		;;
	pve070453fcf-2)
hostnet_nic='NIC 2 (pve070453fcf-2, bridge br0)'
hostnet_need ip tc nft bridge
hostnet_device pie070453fcf-2 || ip link add name pie070453fcf-2 type ifb || hostnet_fail 'there is no device of type ifb for the limit of what it sends'
tc qdisc replace dev pie070453fcf-2 root handle 1: tbf rate 10000000bit burst 16384b limit 62500b || hostnet_fail 'the limit of what it sends cannot be set'
ip link set dev pie070453fcf-2 up || hostnet_fail 'the device for the limit of what it sends does not go up'
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_e070453fcf86
$1 chain netdev provision_e070453fcf86 nic2 { type filter hook ingress device "pve070453fcf-2" priority 0; policy drop; }
add rule netdev provision_e070453fcf86 nic2 ether saddr != 52:54:00:a1:b2:03 drop comment "foreign MAC, 3803c7ee"
add rule netdev provision_e070453fcf86 nic2 ether type != { 0x0800, 0x0806, 0x86dd } drop comment "other protocols and VLAN tags, 33147d2e"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip udp sport 67 drop comment "DHCP server, 061a7fd4"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip udp dport 68 drop comment "DHCP answer, 121f184a"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip6 udp sport 547 drop comment "DHCPv6 server, 13e666ea"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip6 udp dport 546 drop comment "DHCPv6 answer, a4ad8e20"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip6 icmpv6 type { 134, 137 } drop comment "router advertisement and redirect, 3027a778"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip6 icmpv6 type 133 ip6 length > 16 drop comment "long router solicitation, b3f60e09"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip6 icmpv6 type 133 @th,64,8 1 @th,80,48 != 0x525400a1b203 drop comment "router solicitation of another MAC, 28b5a9b9"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip6 icmpv6 type { 135, 136 } ip6 length > 32 drop comment "long neighbour message, e10e84e0"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip6 icmpv6 type { 135, 136 } @th,192,8 { 1, 2 } @th,208,48 != 0x525400a1b203 drop comment "neighbour message of another MAC, 36673ef3"
add rule netdev provision_e070453fcf86 nic2 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:a1:b2:03 fwd to "pie070453fcf-2" comment "ARP, c36336e4"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip fwd to "pie070453fcf-2" comment "IPv4, 82682c95"
add rule netdev provision_e070453fcf86 nic2 ip6 saddr fe80::/10 exthdr frag exists drop comment "fragments from link-local addresses, 35cbb58b"
add rule netdev provision_e070453fcf86 nic2 meta protocol ip6 fwd to "pie070453fcf-2" comment "IPv6, a152ca4e"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_e070453fcf86 nic2; delete chain netdev provision_e070453fcf86 nic2; add' || hostnet_fail 'its rules cannot be set'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pve070453fcf-2 master br0
link set dev pve070453fcf-2 type bridge_slave isolated on
link show dev pve070453fcf-2
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
tc qdisc replace dev pve070453fcf-2 root handle 1: tbf rate 20000000bit burst 25000b limit 125000b || hostnet_fail 'the limit of what it receives cannot be set'
case $(ip -d link show dev br0) in
*' vlan_filtering 1 '*) ;;
*) hostnet_fail 'it has VLAN 100, and the bridge does not filter VLANs (vlan_filtering)' ;;
esac
bridge vlan delete dev pve070453fcf-2 vid 1-4094 || hostnet_fail 'the VLANs of its port cannot be cleared'
bridge vlan add dev pve070453fcf-2 vid 100 pvid untagged || hostnet_fail 'its VLAN cannot be set'
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
	{ echo '8:0 0' >/sys/fs/cgroup/blkio/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/blkio.throttle.read_bps_device; } 2>/dev/null || :
	{ echo '8:0 0' >/sys/fs/cgroup/blkio/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/blkio.throttle.read_bps_device; } 2>/dev/null || :
	{ echo '8:0 0' >/sys/fs/cgroup/blkio/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/blkio.throttle.write_bps_device; } 2>/dev/null || :
	{ echo '8:0 0' >/sys/fs/cgroup/blkio/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/blkio.throttle.write_bps_device; } 2>/dev/null || :
	{ echo '8:0 0' >/sys/fs/cgroup/blkio/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/blkio.throttle.read_iops_device; } 2>/dev/null || :
	{ echo '8:0 0' >/sys/fs/cgroup/blkio/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/blkio.throttle.read_iops_device; } 2>/dev/null || :
	{ echo '8:0 0' >/sys/fs/cgroup/blkio/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/blkio.throttle.write_iops_device; } 2>/dev/null || :
	{ echo '8:0 0' >/sys/fs/cgroup/blkio/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/blkio.throttle.write_iops_device; } 2>/dev/null || :
	: >"$event"
	;;
post-stop)
hostnet_nic='NIC 0 (pve070453fcf-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pve070453fcf-0 || ip link delete dev pve070453fcf-0 || ! hostnet_device pve070453fcf-0 || hostnet_status=1
! hostnet_device pie070453fcf-0 || ip link delete dev pie070453fcf-0 || ! hostnet_device pie070453fcf-0 || hostnet_status=1
! hostnet_device pve070453fcf-1 || ip link delete dev pve070453fcf-1 || ! hostnet_device pve070453fcf-1 || hostnet_status=1
! hostnet_device pie070453fcf-1 || ip link delete dev pie070453fcf-1 || ! hostnet_device pie070453fcf-1 || hostnet_status=1
! hostnet_device pve070453fcf-2 || ip link delete dev pve070453fcf-2 || ! hostnet_device pve070453fcf-2 || hostnet_status=1
! hostnet_device pie070453fcf-2 || ip link delete dev pie070453fcf-2 || ! hostnet_device pie070453fcf-2 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_e070453fcf86 2>/dev/null || ! hostnet_table provision_e070453fcf86 || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
	: >"$event"
	;;
esac
