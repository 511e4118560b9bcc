# up
hostnet_nic='NIC 0 (pvae1714bd4d-0, bridge br0)'
hostnet_need ip nft
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_ae1714bd4db3
$1 chain netdev provision_ae1714bd4db3 nic0 { type filter hook ingress device "pvae1714bd4d-0" priority 0; policy drop; }
add rule netdev provision_ae1714bd4db3 nic0 ether saddr != 52:54:00:01:02:03 drop comment "foreign MAC, b4cc65c2"
add rule netdev provision_ae1714bd4db3 nic0 ether type != { 0x0800, 0x0806, 0x86dd } drop comment "other protocols and VLAN tags, 33147d2e"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip udp sport 67 drop comment "DHCP server, 061a7fd4"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip udp dport 68 drop comment "DHCP answer, 121f184a"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip6 udp sport 547 drop comment "DHCPv6 server, 13e666ea"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip6 udp dport 546 drop comment "DHCPv6 answer, a4ad8e20"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip6 icmpv6 type { 134, 137 } drop comment "router advertisement and redirect, 3027a778"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip6 icmpv6 type 133 ip6 length > 16 drop comment "long router solicitation, b3f60e09"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip6 icmpv6 type 133 @th,64,8 1 @th,80,48 != 0x525400010203 drop comment "router solicitation of another MAC, 5ab3859b"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip6 icmpv6 type { 135, 136 } ip6 length > 32 drop comment "long neighbour message, e10e84e0"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip6 icmpv6 type { 135, 136 } @th,192,8 { 1, 2 } @th,208,48 != 0x525400010203 drop comment "neighbour message of another MAC, 50ba0a54"
add rule netdev provision_ae1714bd4db3 nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 accept comment "ARP, 3b263795"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip accept comment "IPv4, a6b09192"
add rule netdev provision_ae1714bd4db3 nic0 ip6 saddr fe80::/10 exthdr frag exists drop comment "fragments from link-local addresses, 35cbb58b"
add rule netdev provision_ae1714bd4db3 nic0 meta protocol ip6 accept comment "IPv6, a03304be"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_ae1714bd4db3 nic0; delete chain netdev provision_ae1714bd4db3 nic0; add' || hostnet_fail 'its rules cannot be set'
! hostnet_device piae1714bd4d-0 || ip link delete dev piae1714bd4d-0 || hostnet_fail 'the device of an old limit cannot be removed'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pvae1714bd4d-0 master br0
link set dev pvae1714bd4d-0 type bridge_slave isolated off
link show dev pvae1714bd4d-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pvae1714bd4d-0 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac

# down
hostnet_nic='NIC 0 (pvae1714bd4d-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pvae1714bd4d-0 || ip link delete dev pvae1714bd4d-0 || ! hostnet_device pvae1714bd4d-0 || hostnet_status=1
! hostnet_device piae1714bd4d-0 || ip link delete dev piae1714bd4d-0 || ! hostnet_device piae1714bd4d-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_ae1714bd4db3 2>/dev/null || ! hostnet_table provision_ae1714bd4db3 || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
