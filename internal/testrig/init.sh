#!/bin/sh
# The guest's whole user space. It sets the network up as the NoCloud seed
# says, reports what it found as "FACT name=value" lines on the console, then
# "BOOTED-OK <hostname>", and from then on echoes lines and obeys ACPI and the
# QEMU guest agent. A line "RUN <id> <command>" is run, and "RAN <id> <status>"
# says that it has ended. All commands but the agent are busybox applets, linked in
# /bin.

mount -t devtmpfs dev /dev
exec <>/dev/console >&0 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
while read -r module; do insmod "$module"; done </lib/modules/order

say() { echo "$*"; }
fact() { echo "FACT $*"; }

# --- seed -------------------------------------------------------------------

disk=/sys/class/block/vda
tries=0
while [ ! -e "$disk" ] && [ $tries -lt 50 ]; do
	tries=$((tries + 1))
	sleep 0.1
done

find_seed() {
	for dev in /dev/vd[b-z]; do
		[ -b "$dev" ] || continue
		for type in vfat iso9660; do
			mount -r -t $type "$dev" /seed 2>/dev/null || continue
			[ -f /seed/meta-data ] && return
			umount /seed
		done
	done
	return 1
}

# meta KEY prints the value of a top-level key of meta-data.
meta() {
	sed -n "s/^$1: *//p" /seed/meta-data | sed "s/^[\"']//; s/[\"' ]*$//" | head -n 1
}

# wants WORD tells whether the user-data asks for a special behaviour.
wants() { [ -f /seed/user-data ] && grep -q "test:$1" /seed/user-data; }

name=localhost
instance=none
if find_seed; then
	name=$(meta local-hostname)
	instance=$(meta instance-id)
	hostname "$name"
	fact "seed=${dev#/dev/} type=$type"
else
	fact seed=none
fi
fact "hostname=$name"
fact "instance-id=$instance"

# --- network ----------------------------------------------------------------

# network_plan turns network-config, netplan's version 2 with one flow-style
# line per item and every string in double quotes, into lines of words.
network_plan() {
	awk -F'"' '
		/^  [^ ].*:$/     { mac = ""; setname = "" }
		/macaddress:/     { mac = tolower($2); print "nic", mac }
		/set-name:/       { n = $0; sub(/^.*set-name: */, "", n); gsub(/"/, "", n); print "name", mac, n }
		/^ *addresses:/   { for (i = 2; i <= NF; i += 2) print "addr", mac, $i }
		/^ *mtu:/         { print "mtu", mac, $2 ? $2 : substr($0, index($0, ":") + 1) }
		/on-link: *true/  { print "onlink", mac, $4 }
		/^ *- *[{] *to:/  { print "route", mac, $2, $4 }
		/^ *nameservers:/ {
			split($0, part, "search:")
			n = split(part[1], word, "\"")
			for (i = 2; i <= n; i += 2) print "dns", mac, word[i]
			n = split(part[2], word, "\"")
			for (i = 2; i <= n; i += 2) print "search", mac, word[i]
		}
	' /seed/network-config
}

# nic_of MAC sets nic to the name of the interface with that address.
nic_of() {
	for path in /sys/class/net/*; do
		read -r have <"$path/address"
		nic=${path##*/}
		[ "$have" = "$1" ] && return
	done
	fact "error=no-nic mac=$1"
	return 1
}

apply_plan() {
	while read -r verb mac what via; do
		nic_of "$mac" || continue
		case $verb in
		name) rename "$what" ;;
		mtu) ip link set "$nic" mtu "$what" ;;
		addr) ip addr add "$what" dev "$nic" ;;
		onlink) ip route add "$what" dev "$nic" ;;
		route) ip route add "$what" via "$via" dev "$nic" && fact "route=$what via=$via nic=$nic" ;;
		dns) echo "nameserver $what" >>/etc/resolv.conf && fact "dns=$what" ;;
		search) fact "search=$what" ;;
		esac
	done
}

# rename NAME gives $nic the name.
rename() {
	[ "$nic" = "$1" ] && return
	ip link set "$nic" down
	ip link set "$nic" name "$1"
	ip link set "$1" up
}

# An address must be usable at once: no duplicate address detection.
for path in /proc/sys/net/ipv6/conf/*; do
	[ -d "$path" ] && echo 0 >"$path/accept_dad" && echo 0 >"$path/accept_ra"
done
for path in /sys/class/net/*; do ip link set "${path##*/}" up; done
if [ -f /seed/network-config ]; then
	network_plan >/run/plan
	# Names first, by way of others: two NICs may have to swap theirs.
	grep '^name ' /run/plan >/run/names
	awk '{ print $1, $2, "tmp" NR }' /run/names | apply_plan
	apply_plan </run/names
	grep -v '^name ' /run/plan | apply_plan
fi

# --- facts ------------------------------------------------------------------

virtio=
for path in /sys/bus/virtio/devices/*; do
	driver=$(readlink "$path/driver")
	virtio="$virtio ${path##*/}:${driver##*/}"
done
fact "virtio=${virtio# }"

for path in /sys/class/net/*; do
	nic=${path##*/}
	[ "$nic" = lo ] && continue
	addrs=$(ip -o addr show dev "$nic" scope global | awk '{ printf "%s%s", sep, $4; sep = "," }')
	read -r mac <"$path/address"
	read -r mtu <"$path/mtu"
	fact "nic=$nic mac=$mac addr=$addrs mtu=$mtu"
done
for path in /sys/class/block/vd?; do
	read -r sectors <"$path/size"
	read -r ro <"$path/ro"
	fact "disk=${path##*/} size=$((sectors * 512)) ro=$ro"
done
sum=none
keys=0
if [ -f /seed/user-data ]; then
	sum=$(sha256sum /seed/user-data)
	sum=${sum%% *}
	keys=$(grep -c '^ *- *"\{0,1\}ssh-' /seed/user-data)
fi
fact "userdata-sha256=$sum"
fact "authorized-keys=$keys"
read -r rng </sys/class/misc/hw_random/rng_current
fact "rng=${rng:-none}"
fact "cpus=$(nproc)"
read -r label memory unit </proc/meminfo
fact "memory-kib=$memory"

# --- service ----------------------------------------------------------------

# agent_port opens the agent's end of its channel as descriptor 5.
agent_port() {
	for port in /sys/class/virtio-ports/*; do
		[ -e "$port/name" ] || return 1
		read -r role <"$port/name"
		[ "$role" = org.qemu.guest_agent.0 ] && exec 5<>"/dev/${port##*/}" && return
	done
	return 1
}

# power_agent knows how to synchronise, to say that it listens and, after a while, to
# power off. Reading ends at once while the host has not opened its end yet.
power_agent() {
	while :; do answer_agent; sleep 0.2; done
}

answer_agent() {
	while IFS= read -r line; do
		case $line in
		*guest-sync*)
			id=${line##*\"id\":}
			echo "{\"return\":${id%%\}*}}" >&5
			;;
		*guest-ping*)
			echo '{"return":{}}' >&5
			;;
		*guest-shutdown*)
			say "AGENT power off"
			sleep 8
			poweroff -f
			;;
		esac
	done <&5
}

# The real agent, unless another behaviour is asked for.
if wants hung-agent && agent_port; then
	fact agent=hung
elif wants power-agent && agent_port; then
	power_agent &
	fact agent=power
elif ! wants no-agent && agent_port; then
	exec 5>&-
	qemu-ga -m virtio-serial -p "/dev/${port##*/}" -t /run </dev/null >/dev/null 2>&1 &
	fact agent=real
fi
if wants reboot-on-acpi; then
	printf '#!/bin/sh\nexec reboot -f\n' >/etc/acpi/PWRF/00000080
	fact acpi=reboot
fi
if wants ignore-acpi; then
	fact acpi=ignored
else
	acpid
	# A power button pressed before acpid listens would be lost.
	until ls -l "/proc/$(pidof acpid)/fd" | grep -q /dev/input/event; do sleep 0.02; done
fi
# obey ID WORDS... runs them as a shell does, and says how it went.
obey() {
	id=$1
	shift
	sh -c "$*" </dev/null
	say "RAN $id $?"
}

stty -echo </dev/console
while :; do
	while IFS= read -r line; do
		say "ECHO $line"
		case $line in "RUN "*) obey ${line#RUN } ;; esac
	done </dev/console
	sleep 1
done &
say "BOOTED-OK $name"
if wants poweroff; then
	sleep 1
	poweroff -f
fi
wants suspend-to-ram && echo mem >/sys/power/state
wants fill-disk && dd if=/dev/urandom of=/dev/vda bs=64k seek=768 2>/dev/null &
wants console-flood && yes "FLOOD 0123456789abcdefghijklmnopqrstuvwxyz" &
while sleep 2; do :; done
