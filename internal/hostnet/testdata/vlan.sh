# up
hostnet_nic='NIC 0 (pv7082075c21-0, bridge br0)'
hostnet_need ip nft bridge
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_7082075c2110
$1 chain netdev provision_7082075c2110 nic0 { type filter hook ingress device "pv7082075c21-0" priority 0; policy drop; }
add rule netdev provision_7082075c2110 nic0 ether saddr != 52:54:00:01:02:03 drop comment "foreign MAC, b4cc65c2"
add rule netdev provision_7082075c2110 nic0 ether type != { 0x0800, 0x0806 } drop comment "other protocols and VLAN tags, 274f6f1a"
add rule netdev provision_7082075c2110 nic0 meta protocol ip udp sport 67 drop comment "DHCP server, 061a7fd4"
add rule netdev provision_7082075c2110 nic0 meta protocol ip udp dport 68 drop comment "DHCP answer, 121f184a"
add rule netdev provision_7082075c2110 nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 arp saddr ip { 192.0.2.10 } accept comment "ARP of own addresses, c2f7305d"
add rule netdev provision_7082075c2110 nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 arp saddr ip 0.0.0.0 arp daddr ip { 192.0.2.10 } accept comment "ARP probe for own addresses (RFC 5227), 1900a183"
add rule netdev provision_7082075c2110 nic0 ip saddr { 192.0.2.10 } accept comment "own IPv4 addresses, 881dd1f8"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_7082075c2110 nic0; delete chain netdev provision_7082075c2110 nic0; add' || hostnet_fail 'its rules cannot be set'
! hostnet_device pi7082075c21-0 || ip link delete dev pi7082075c21-0 || hostnet_fail 'the device of an old limit cannot be removed'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pv7082075c21-0 master br0
link set dev pv7082075c21-0 type bridge_slave isolated off
link show dev pv7082075c21-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pv7082075c21-0 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac
case $(ip -d link show dev br0) in
*' vlan_filtering 1 '*) ;;
*) hostnet_fail 'it has VLAN 42, and the bridge does not filter VLANs (vlan_filtering)' ;;
esac
bridge vlan delete dev pv7082075c21-0 vid 1-4094 || hostnet_fail 'the VLANs of its port cannot be cleared'
bridge vlan add dev pv7082075c21-0 vid 42 pvid untagged || hostnet_fail 'its VLAN cannot be set'

# down
hostnet_nic='NIC 0 (pv7082075c21-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pv7082075c21-0 || ip link delete dev pv7082075c21-0 || ! hostnet_device pv7082075c21-0 || hostnet_status=1
! hostnet_device pi7082075c21-0 || ip link delete dev pi7082075c21-0 || ! hostnet_device pi7082075c21-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_7082075c2110 2>/dev/null || ! hostnet_table provision_7082075c2110 || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
