# up
hostnet_nic='NIC 0 (pvcfd6d5922f-0, bridge br0)'
hostnet_need ip tc nft
hostnet_device picfd6d5922f-0 || ip link add name picfd6d5922f-0 type ifb || hostnet_fail 'there is no device of type ifb for the limit of what it sends'
tc qdisc replace dev picfd6d5922f-0 root handle 1: tbf rate 10000000bit burst 16384b limit 62500b || hostnet_fail 'the limit of what it sends cannot be set'
ip link set dev picfd6d5922f-0 up || hostnet_fail 'the device for the limit of what it sends does not go up'
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_cfd6d5922f7e
$1 chain netdev provision_cfd6d5922f7e nic0 { type filter hook ingress device "pvcfd6d5922f-0" priority 0; policy drop; }
add rule netdev provision_cfd6d5922f7e nic0 ether saddr != 52:54:00:01:02:03 drop comment "foreign MAC, b4cc65c2"
add rule netdev provision_cfd6d5922f7e nic0 ether type != { 0x0800, 0x0806 } drop comment "other protocols and VLAN tags, 274f6f1a"
add rule netdev provision_cfd6d5922f7e nic0 meta protocol ip udp sport 67 drop comment "DHCP server, 061a7fd4"
add rule netdev provision_cfd6d5922f7e nic0 meta protocol ip udp dport 68 drop comment "DHCP answer, 121f184a"
add rule netdev provision_cfd6d5922f7e nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 arp saddr ip { 192.0.2.10 } fwd to "picfd6d5922f-0" comment "ARP of own addresses, e61aa9b5"
add rule netdev provision_cfd6d5922f7e nic0 arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether 52:54:00:01:02:03 arp saddr ip 0.0.0.0 arp daddr ip { 192.0.2.10 } fwd to "picfd6d5922f-0" comment "ARP probe for own addresses (RFC 5227), 7a915623"
add rule netdev provision_cfd6d5922f7e nic0 ip saddr { 192.0.2.10 } fwd to "picfd6d5922f-0" comment "own IPv4 addresses, f410bbd4"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_cfd6d5922f7e nic0; delete chain netdev provision_cfd6d5922f7e nic0; add' || hostnet_fail 'its rules cannot be set'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pvcfd6d5922f-0 master br0
link set dev pvcfd6d5922f-0 type bridge_slave isolated off
link show dev pvcfd6d5922f-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pvcfd6d5922f-0 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac

# down
hostnet_nic='NIC 0 (pvcfd6d5922f-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pvcfd6d5922f-0 || ip link delete dev pvcfd6d5922f-0 || ! hostnet_device pvcfd6d5922f-0 || hostnet_status=1
! hostnet_device picfd6d5922f-0 || ip link delete dev picfd6d5922f-0 || ! hostnet_device picfd6d5922f-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_cfd6d5922f7e 2>/dev/null || ! hostnet_table provision_cfd6d5922f7e || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
