# up
hostnet_nic='NIC 0 (pv51c0235a93-0, bridge br0)'
hostnet_need ip
! hostnet_chain provision_51c0235a93ce nic0 || nft delete chain netdev provision_51c0235a93ce nic0 || hostnet_fail 'its old rules cannot be removed'
! hostnet_device pi51c0235a93-0 || ip link delete dev pi51c0235a93-0 || hostnet_fail 'the device of an old limit cannot be removed'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pv51c0235a93-0 master br0
link set dev pv51c0235a93-0 type bridge_slave isolated off
link show dev pv51c0235a93-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pv51c0235a93-0 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac

# down
hostnet_nic='NIC 0 (pv51c0235a93-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pv51c0235a93-0 || ip link delete dev pv51c0235a93-0 || ! hostnet_device pv51c0235a93-0 || hostnet_status=1
! hostnet_device pi51c0235a93-0 || ip link delete dev pi51c0235a93-0 || ! hostnet_device pi51c0235a93-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_51c0235a93ce 2>/dev/null || ! hostnet_table provision_51c0235a93ce || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
