# up
hostnet_nic='NIC 0 (pva04a0fa0ee-0, bridge br0)'
hostnet_need ip tc nft
hostnet_device pia04a0fa0ee-0 || ip link add name pia04a0fa0ee-0 type ifb || hostnet_fail 'there is no device of type ifb for the limit of what it sends'
tc qdisc replace dev pia04a0fa0ee-0 root handle 1: tbf rate 1000000000bit burst 1250000b limit 6250000b || hostnet_fail 'the limit of what it sends cannot be set'
ip link set dev pia04a0fa0ee-0 up || hostnet_fail 'the device for the limit of what it sends does not go up'
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_a04a0fa0eef8
$1 chain netdev provision_a04a0fa0eef8 nic0 { type filter hook ingress device "pva04a0fa0ee-0" priority 0; policy accept; }
add rule netdev provision_a04a0fa0eef8 nic0 fwd to "pia04a0fa0ee-0" comment "all, ce1c4b36"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_a04a0fa0eef8 nic0; delete chain netdev provision_a04a0fa0eef8 nic0; add' || hostnet_fail 'its rules cannot be set'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pva04a0fa0ee-0 master br0
link set dev pva04a0fa0ee-0 type bridge_slave isolated off
link show dev pva04a0fa0ee-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
tc qdisc replace dev pva04a0fa0ee-0 root handle 1: tbf rate 1000000000bit burst 1250000b limit 6250000b || hostnet_fail 'the limit of what it receives cannot be set'

# down
hostnet_nic='NIC 0 (pva04a0fa0ee-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pva04a0fa0ee-0 || ip link delete dev pva04a0fa0ee-0 || ! hostnet_device pva04a0fa0ee-0 || hostnet_status=1
! hostnet_device pia04a0fa0ee-0 || ip link delete dev pia04a0fa0ee-0 || ! hostnet_device pia04a0fa0ee-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_a04a0fa0eef8 2>/dev/null || ! hostnet_table provision_a04a0fa0eef8 || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
