# up
hostnet_nic='NIC 0 (pv20e5b66153-0, bridge br0)'
hostnet_need ip tc nft
hostnet_device pi20e5b66153-0 || ip link add name pi20e5b66153-0 type ifb || hostnet_fail 'there is no device of type ifb for the limit of what it sends'
tc qdisc replace dev pi20e5b66153-0 root handle 1: tbf rate 1000000000000bit burst 1073741824b limit 1073741824b || hostnet_fail 'the limit of what it sends cannot be set'
ip link set dev pi20e5b66153-0 up || hostnet_fail 'the device for the limit of what it sends does not go up'
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_20e5b66153ca
$1 chain netdev provision_20e5b66153ca nic0 { type filter hook ingress device "pv20e5b66153-0" priority 0; policy accept; }
add rule netdev provision_20e5b66153ca nic0 fwd to "pi20e5b66153-0" comment "all, 5800752a"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_20e5b66153ca nic0; delete chain netdev provision_20e5b66153ca nic0; add' || hostnet_fail 'its rules cannot be set'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pv20e5b66153-0 master br0
link set dev pv20e5b66153-0 type bridge_slave isolated off
link show dev pv20e5b66153-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
tc qdisc replace dev pv20e5b66153-0 root handle 1: tbf rate 1000000000000bit burst 1073741824b limit 1073741824b || hostnet_fail 'the limit of what it receives cannot be set'

# down
hostnet_nic='NIC 0 (pv20e5b66153-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pv20e5b66153-0 || ip link delete dev pv20e5b66153-0 || ! hostnet_device pv20e5b66153-0 || hostnet_status=1
! hostnet_device pi20e5b66153-0 || ip link delete dev pi20e5b66153-0 || ! hostnet_device pi20e5b66153-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_20e5b66153ca 2>/dev/null || ! hostnet_table provision_20e5b66153ca || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
