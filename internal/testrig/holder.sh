# PID 1 of the rig's namespaces: sets them up, then keeps libvirtd running.
# It must stay a shell. libvirtd does not reap the children it daemonises; as
# PID 1 each of its capability probes would leave a zombie and wait for it.
# Descriptor 3 is a pipe whose other end only the starter holds: when it reads
# end of file the starter is gone, PID 1 exits, and the kernel kills the rest.
set -eu
dir=$1 cache=$2 bridge=$3 addr=$4

# With a table of control groups: enter them all, and make them the roots of what
# is seen from here, so that nothing outside of them is changed.
groups=$dir/cgroups
if [ -s "$groups" ] && [ -z "${inside:-}" ]; then
	while read -r version opts name group; do
		echo 0 >"$group/cgroup.procs"
	done <"$groups"
	inside=1 exec unshare --cgroup /bin/sh "$0" "$@"
fi

mount --make-rprivate /
if [ -s "$groups" ]; then # kept for the way out
	while read -r version opts name group; do
		mkdir -p "$dir/outer/$name"
		mount --bind "/sys/fs/cgroup/$name" "$dir/outer/$name"
	done <"$groups"
	umount -R /sys/fs/cgroup # libvirt would find those in /proc/mounts, too
fi
mount -t proc proc /proc
mount -t sysfs sysfs /sys # the one outside shows the wrong network devices
if [ -s "$groups" ]; then
	! grep -q '^1 ' "$groups" || mount -t tmpfs tmpfs /sys/fs/cgroup
	while read -r version opts name group; do
		if [ "$version" = 2 ]; then
			mkdir -p "/sys/fs/cgroup/$name"
			mount -t cgroup2 cgroup2 "/sys/fs/cgroup/$name"
			# A group that has processes gives its children no controllers.
			mkdir "/sys/fs/cgroup/$name/holder"
			echo 0 >"/sys/fs/cgroup/$name/holder/cgroup.procs"
		else
			mkdir "/sys/fs/cgroup/$name"
			mount -t cgroup -o "$opts" cgroup "/sys/fs/cgroup/$name"
		fi
	done <"$groups"
	# Over D-Bus libvirt would ask the host's systemd for groups.
	[ ! -d /run/dbus ] || mount -t tmpfs tmpfs /run/dbus
fi
mkdir -p /run/libvirt
mount --bind "$dir/etc" /etc/libvirt
mount --bind "$dir/lib" /var/lib/libvirt
mount --bind "$cache" /var/cache/libvirt
mount --bind "$dir/log" /var/log/libvirt
mount --bind "$dir/run" /run/libvirt
[ ! -d "$dir/hugepages" ] || mount -t hugetlbfs hugetlbfs "$dir/hugepages"

ip link set lo up
ip link add "$bridge" type bridge
ip addr add "$addr" dev "$bridge"
ip link set "$bridge" up

# Leave the groups and remove them; where the starter lives it does so itself.
clear_groups() {
	[ -s "$groups" ] || exit 0
	kill -9 -1 || :
	while read -r version opts name group; do
		outer=$dir/outer/${group#/sys/fs/cgroup/}
		echo 0 >"${outer%/*}/cgroup.procs" || :
		for try in 1 2 3 4 5 6 7 8 9 10; do
			find "$outer" -depth -type d -exec rmdir {} + && break
			sleep 0.1
		done
	done <"$groups"
	exit 0
}

trap clear_groups USR1
{
	cat <&3 >/dev/null || :
	kill -USR1 1
} &
exec 3<&-

while :; do
	if [ -e "$dir/down" ]; then
		sleep 0.05
		continue
	fi
	rm -f "$dir/run/libvirtd.pid"
	libvirtd --listen -f "$dir/libvirtd.conf" -p "$dir/run/libvirtd.pid" </dev/null &
	wait $! || : # unlike a foreground child, "wait" lets the trap run at once
	sleep 0.1
done
