# up
hostnet_nic='NIC 7 (pvfa022d6dbc-7, bridge br0)'
hostnet_need ip tc nft
hostnet_device pifa022d6dbc-7 || ip link add name pifa022d6dbc-7 type ifb || hostnet_fail 'there is no device of type ifb for the limit of what it sends'
tc qdisc replace dev pifa022d6dbc-7 root handle 1: tbf rate 50000000bit burst 62500b limit 312500b || hostnet_fail 'the limit of what it sends cannot be set'
ip link set dev pifa022d6dbc-7 up || hostnet_fail 'the device for the limit of what it sends does not go up'
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_fa022d6dbcec
$1 chain netdev provision_fa022d6dbcec nic7 { type filter hook ingress device "pvfa022d6dbc-7" priority 0; policy drop; }
add rule netdev provision_fa022d6dbcec nic7 ether saddr != 52:54:00:01:02:03 drop comment "foreign MAC, b4cc65c2"
add rule netdev provision_fa022d6dbcec nic7 ether type != { 0x0800, 0x0806, 0x86dd } drop comment "other protocols and VLAN tags, 33147d2e"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip udp sport 67 drop comment "DHCP server, 061a7fd4"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip udp dport 68 drop comment "DHCP answer, 121f184a"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip6 udp sport 547 drop comment "DHCPv6 server, 13e666ea"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip6 udp dport 546 drop comment "DHCPv6 answer, a4ad8e20"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip6 icmpv6 type { 134, 137 } drop comment "router advertisement and redirect, 3027a778"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip6 icmpv6 type 133 ip6 length > 16 drop comment "long router solicitation, b3f60e09"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip6 icmpv6 type 133 @th,64,8 1 @th,80,48 != 0x525400010203 drop comment "router solicitation of another MAC, 5ab3859b"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip6 icmpv6 type { 135, 136 } ip6 length > 32 drop comment "long neighbour message, e10e84e0"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip6 icmpv6 type { 135, 136 } @th,192,8 { 1, 2 } @th,208,48 != 0x525400010203 drop comment "neighbour message of another MAC, 50ba0a54"
add rule netdev provision_fa022d6dbcec nic7 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 arp saddr ip { 192.0.2.10 } fwd to "pifa022d6dbc-7" comment "ARP of own addresses, 547e332f"
add rule netdev provision_fa022d6dbcec nic7 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 arp saddr ip 0.0.0.0 arp daddr ip { 192.0.2.10 } fwd to "pifa022d6dbc-7" comment "ARP probe for own addresses (RFC 5227), ef2761a6"
add rule netdev provision_fa022d6dbcec nic7 ip saddr { 192.0.2.10 } fwd to "pifa022d6dbc-7" comment "own IPv4 addresses, d423b7d3"
add rule netdev provision_fa022d6dbcec nic7 meta protocol ip6 icmpv6 type 136 @th,64,128 != { 0x20010db8000000000000000000000010, 0xfe80000000000000505400fffe010203 } drop comment "neighbour advertisement of other addresses, 89ce6289"
add rule netdev provision_fa022d6dbcec nic7 ip6 saddr { 2001:db8::10 } fwd to "pifa022d6dbc-7" comment "own IPv6 addresses, f9732566"
add rule netdev provision_fa022d6dbcec nic7 ip6 saddr fe80::5054:ff:fe01:203 meta l4proto { 6, 17 } fwd to "pifa022d6dbc-7" comment "TCP and UDP of the link-local address, 4ea7a954"
add rule netdev provision_fa022d6dbcec nic7 ip6 saddr fe80::5054:ff:fe01:203 icmpv6 type { 128-136, 143 } fwd to "pifa022d6dbc-7" comment "ICMPv6 of the link-local address, 3917692d"
add rule netdev provision_fa022d6dbcec nic7 ip6 saddr :: icmpv6 type 135 @th,64,128 { 0x20010db8000000000000000000000010, 0xfe80000000000000505400fffe010203 } fwd to "pifa022d6dbc-7" comment "are own addresses taken?, dfa0f1a5"
add rule netdev provision_fa022d6dbcec nic7 ip6 saddr :: icmpv6 type 143 fwd to "pifa022d6dbc-7" comment "multicast report before an address, bc8a73a9"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_fa022d6dbcec nic7; delete chain netdev provision_fa022d6dbcec nic7; add' || hostnet_fail 'its rules cannot be set'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pvfa022d6dbc-7 mtu 1420
link set dev pvfa022d6dbc-7 master br0
link set dev pvfa022d6dbc-7 type bridge_slave isolated on
link show dev pvfa022d6dbc-7
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
tc qdisc replace dev pvfa022d6dbc-7 root handle 1: tbf rate 100000000bit burst 125000b limit 625000b || hostnet_fail 'the limit of what it receives cannot be set'

# down
hostnet_nic='NIC 7 (pvfa022d6dbc-7, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pvfa022d6dbc-7 || ip link delete dev pvfa022d6dbc-7 || ! hostnet_device pvfa022d6dbc-7 || hostnet_status=1
! hostnet_device pifa022d6dbc-7 || ip link delete dev pifa022d6dbc-7 || ! hostnet_device pifa022d6dbc-7 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_fa022d6dbcec 2>/dev/null || ! hostnet_table provision_fa022d6dbcec || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
