# up
hostnet_nic='NIC 0 (pv3eae314392-0, bridge br0)'
hostnet_need ip
! hostnet_chain provision_3eae3143926d nic0 || nft delete chain netdev provision_3eae3143926d nic0 || hostnet_fail 'its old rules cannot be removed'
! hostnet_device pi3eae314392-0 || ip link delete dev pi3eae314392-0 || hostnet_fail 'the device of an old limit cannot be removed'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pv3eae314392-0 mtu 1400
link set dev pv3eae314392-0 master br0
link set dev pv3eae314392-0 type bridge_slave isolated off
link show dev pv3eae314392-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
case $hostnet_port in
*' qdisc tbf '*) tc qdisc delete dev pv3eae314392-0 root || hostnet_fail 'the old limit of what it receives cannot be removed'
;;
esac

# down
hostnet_nic='NIC 0 (pv3eae314392-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pv3eae314392-0 || ip link delete dev pv3eae314392-0 || ! hostnet_device pv3eae314392-0 || hostnet_status=1
! hostnet_device pi3eae314392-0 || ip link delete dev pi3eae314392-0 || ! hostnet_device pi3eae314392-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_3eae3143926d 2>/dev/null || ! hostnet_table provision_3eae3143926d || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
