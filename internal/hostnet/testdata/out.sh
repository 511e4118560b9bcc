# up
hostnet_nic='NIC 0 (pv4da0d2c9da-0, bridge br0)'
hostnet_need ip tc nft
hostnet_device pi4da0d2c9da-0 || ip link add name pi4da0d2c9da-0 type ifb || hostnet_fail 'there is no device of type ifb for the limit of what it sends'
tc qdisc replace dev pi4da0d2c9da-0 root handle 1: tbf rate 10000000bit burst 16384b limit 62500b || hostnet_fail 'the limit of what it sends cannot be set'
ip link set dev pi4da0d2c9da-0 up || hostnet_fail 'the device for the limit of what it sends does not go up'
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_4da0d2c9dac0
$1 chain netdev provision_4da0d2c9dac0 nic0 { type filter hook ingress device "pv4da0d2c9da-0" priority 0; policy accept; }
add rule netdev provision_4da0d2c9dac0 nic0 fwd to "pi4da0d2c9da-0" comment "all, 7f01152e"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_4da0d2c9dac0 nic0; delete chain netdev provision_4da0d2c9dac0 nic0; add' || hostnet_fail 'its rules cannot be set'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pv4da0d2c9da-0 master br0
link set dev pv4da0d2c9da-0 type bridge_slave isolated off
link show dev pv4da0d2c9da-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pv4da0d2c9da-0 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac

# down
hostnet_nic='NIC 0 (pv4da0d2c9da-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pv4da0d2c9da-0 || ip link delete dev pv4da0d2c9da-0 || ! hostnet_device pv4da0d2c9da-0 || hostnet_status=1
! hostnet_device pi4da0d2c9da-0 || ip link delete dev pi4da0d2c9da-0 || ! hostnet_device pi4da0d2c9da-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_4da0d2c9dac0 2>/dev/null || ! hostnet_table provision_4da0d2c9dac0 || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
