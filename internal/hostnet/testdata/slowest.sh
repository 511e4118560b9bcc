# up
hostnet_nic='NIC 0 (pvae1a769b65-0, bridge br0)'
hostnet_need ip tc nft
hostnet_device piae1a769b65-0 || ip link add name piae1a769b65-0 type ifb || hostnet_fail 'there is no device of type ifb for the limit of what it sends'
tc qdisc replace dev piae1a769b65-0 root handle 1: tbf rate 8000bit burst 65539b limit 131078b || hostnet_fail 'the limit of what it sends cannot be set'
ip link set dev piae1a769b65-0 up || hostnet_fail 'the device for the limit of what it sends does not go up'
hostnet_rules() { nft -f - <<HOSTNET
add table netdev provision_ae1a769b6505
$1 chain netdev provision_ae1a769b6505 nic0 { type filter hook ingress device "pvae1a769b65-0" priority 0; policy accept; }
add rule netdev provision_ae1a769b6505 nic0 fwd to "piae1a769b65-0" comment "all, 520ecfe0"
HOSTNET
}
hostnet_rules create 2>/dev/null || hostnet_rules 'add chain netdev provision_ae1a769b6505 nic0; delete chain netdev provision_ae1a769b6505 nic0; add' || hostnet_fail 'its rules cannot be set'
hostnet_port=$(ip -batch - <<'HOSTNET'
link set dev pvae1a769b65-0 mtu 65521
link set dev pvae1a769b65-0 master br0
link set dev pvae1a769b65-0 type bridge_slave isolated off
link show dev pvae1a769b65-0
HOSTNET
) || hostnet_fail 'it cannot be plugged into the bridge with its MTU and isolation'
tc qdisc replace dev pvae1a769b65-0 root handle 1: tbf rate 8000bit burst 65539b limit 131078b || hostnet_fail 'the limit of what it receives cannot be set'

# down
hostnet_nic='NIC 0 (pvae1a769b65-0, bridge br0)'
hostnet_need ip
hostnet_status=0
! hostnet_device pvae1a769b65-0 || ip link delete dev pvae1a769b65-0 || ! hostnet_device pvae1a769b65-0 || hostnet_status=1
! hostnet_device piae1a769b65-0 || ip link delete dev piae1a769b65-0 || ! hostnet_device piae1a769b65-0 || hostnet_status=1
! command -v nft >/dev/null || nft delete table netdev provision_ae1a769b6505 2>/dev/null || ! hostnet_table provision_ae1a769b6505 || hostnet_status=1
[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'
