# PID 1 of the rig's namespaces: sets them up, then keeps libvirtd running.
# It must stay a shell. libvirtd does not reap the children it daemonises; as
# PID 1 each of its capability probes would leave a zombie and wait for it.
# Descriptor 3 is a pipe whose other end only the starter holds: when it reads
# end of file the starter is gone, PID 1 exits, and the kernel kills the rest.
set -eu
dir=$1 cache=$2 bridge=$3 addr=$4

mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys # the one outside shows the wrong network devices
mkdir -p /run/libvirt
mount --bind "$dir/etc" /etc/libvirt
mount --bind "$dir/lib" /var/lib/libvirt
mount --bind "$cache" /var/cache/libvirt
mount --bind "$dir/log" /var/log/libvirt
mount --bind "$dir/run" /run/libvirt

ip link set lo up
ip link add "$bridge" type bridge
ip addr add "$addr" dev "$bridge"
ip link set "$bridge" up

trap 'exit 0' USR1
{
	cat <&3 >/dev/null || :
	kill -USR1 1
} &
exec 3<&-

while :; do
	rm -f "$dir/run/libvirtd.pid"
	libvirtd -f "$dir/libvirtd.conf" -p "$dir/run/libvirtd.pid" </dev/null &
	wait $! || : # unlike a foreground child, "wait" lets the trap run at once
	sleep 0.1
done
