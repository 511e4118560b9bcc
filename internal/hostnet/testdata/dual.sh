# up
hostnet_nic='NIC 0 (pv75aeacfa49-0, bridge br0)'
hostnet_need ip nft
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_75aeacfa49ef
$1 chain netdev provision_75aeacfa49ef nic0 { type filter hook ingress device "pv75aeacfa49-0" priority 0; policy drop; }
add rule netdev provision_75aeacfa49ef nic0 ether saddr != 52:54:00:01:02:03 drop comment "foreign MAC, b4cc65c2"
add rule netdev provision_75aeacfa49ef nic0 ether type != { 0x0800, 0x0806, 0x86dd } drop comment "other protocols and VLAN tags, 33147d2e"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip udp sport 67 drop comment "DHCP server, 061a7fd4"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip udp dport 68 drop comment "DHCP answer, 121f184a"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip6 udp sport 547 drop comment "DHCPv6 server, 13e666ea"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip6 udp dport 546 drop comment "DHCPv6 answer, a4ad8e20"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip6 icmpv6 type { 134, 137 } drop comment "router advertisement and redirect, 3027a778"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip6 icmpv6 type 133 ip6 length > 16 drop comment "long router solicitation, b3f60e09"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip6 icmpv6 type 133 @th,64,8 1 @th,80,48 != 0x525400010203 drop comment "router solicitation of another MAC, 5ab3859b"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip6 icmpv6 type { 135, 136 } ip6 length > 32 drop comment "long neighbour message, e10e84e0"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip6 icmpv6 type { 135, 136 } @th,192,8 { 1, 2 } @th,208,48 != 0x525400010203 drop comment "neighbour message of another MAC, 50ba0a54"
add rule netdev provision_75aeacfa49ef nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 arp saddr ip { 192.0.2.9, 192.0.2.10 } accept comment "ARP of own addresses, 1a6473ba"
add rule netdev provision_75aeacfa49ef nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 arp saddr ip 0.0.0.0 arp daddr ip { 192.0.2.9, 192.0.2.10 } accept comment "ARP probe for own addresses (RFC 5227), 0d386503"
add rule netdev provision_75aeacfa49ef nic0 ip saddr { 192.0.2.9, 192.0.2.10 } accept comment "own IPv4 addresses, 256ca83f"
add rule netdev provision_75aeacfa49ef nic0 meta protocol ip6 icmpv6 type 136 @th,64,128 != { 0x20010db8000000000000000000000010, 0xfe80000000000000505400fffe010203 } drop comment "neighbour advertisement of other addresses, 89ce6289"
add rule netdev provision_75aeacfa49ef nic0 ip6 saddr { 2001:db8::10 } accept comment "own IPv6 addresses, 798e4553"
add rule netdev provision_75aeacfa49ef nic0 ip6 saddr fe80::5054:ff:fe01:203 meta l4proto { 6, 17 } accept comment "TCP and UDP of the link-local address, cb2bc6a7"
add rule netdev provision_75aeacfa49ef nic0 ip6 saddr fe80::5054:ff:fe01:203 icmpv6 type { 128-136, 143 } accept comment "ICMPv6 of the link-local address, e86c8bca"
add rule netdev provision_75aeacfa49ef nic0 ip6 saddr :: icmpv6 type 135 @th,64,128 { 0x20010db8000000000000000000000010, 0xfe80000000000000505400fffe010203 } accept comment "are own addresses taken?, 69979177"
add rule netdev provision_75aeacfa49ef nic0 ip6 saddr :: icmpv6 type 143 accept comment "multicast report before an address, d682c534"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_75aeacfa49ef nic0; delete chain netdev provision_75aeacfa49ef nic0; add' || hostnet_fail 'its rules cannot be set'
! hostnet_device pi75aeacfa49-0 || ip link delete dev pi75aeacfa49-0 || hostnet_fail 'the device of an old limit cannot be removed'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pv75aeacfa49-0 master br0
link set dev pv75aeacfa49-0 type bridge_slave isolated off
link show dev pv75aeacfa49-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pv75aeacfa49-0 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac

# down
hostnet_nic='NIC 0 (pv75aeacfa49-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pv75aeacfa49-0 || ip link delete dev pv75aeacfa49-0 || ! hostnet_device pv75aeacfa49-0 || hostnet_status=1
! hostnet_device pi75aeacfa49-0 || ip link delete dev pi75aeacfa49-0 || ! hostnet_device pi75aeacfa49-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_75aeacfa49ef 2>/dev/null || ! hostnet_table provision_75aeacfa49ef || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
