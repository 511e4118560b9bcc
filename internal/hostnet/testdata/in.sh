# up
hostnet_nic='NIC 0 (pv9b9787cf33-0, bridge br0)'
hostnet_need ip tc
! hostnet_chain provision_9b9787cf33ed nic0 || nft delete chain netdev provision_9b9787cf33ed nic0 || hostnet_fail 'its old rules cannot be removed'
! hostnet_device pi9b9787cf33-0 || ip link delete dev pi9b9787cf33-0 || hostnet_fail 'the device of an old limit cannot be removed'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pv9b9787cf33-0 master br0
link set dev pv9b9787cf33-0 type bridge_slave isolated off
link show dev pv9b9787cf33-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
tc qdisc replace dev pv9b9787cf33-0 root handle 1: tbf rate 20000000bit burst 25000b limit 125000b || hostnet_fail 'the limit of what it receives cannot be set'

# down
hostnet_nic='NIC 0 (pv9b9787cf33-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pv9b9787cf33-0 || ip link delete dev pv9b9787cf33-0 || ! hostnet_device pv9b9787cf33-0 || hostnet_status=1
! hostnet_device pi9b9787cf33-0 || ip link delete dev pi9b9787cf33-0 || ! hostnet_device pi9b9787cf33-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_9b9787cf33ed 2>/dev/null || ! hostnet_table provision_9b9787cf33ed || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
