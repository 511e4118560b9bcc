#!/usr/bin/env bash
# Shows the library on this machine: starts a private libvirtd, builds a tiny
# image of a guest, and takes a KVM guest and a container through the same life
# (examples/quickstart); leaves nothing behind but Debian packages and Go's caches.
#
# Functions that "stage" runs do not end at the first command that fails, as
# "set -e" has no effect there: hence their && and ||.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_root "$@"

work=$(mktemp -d /tmp/provision-demo.XXXXXX) # short: it holds a socket
chmod 711 "$work"                            # root of a container is a stranger here
containers=$work/lxc
bridge=pvd$$
rig_pid=

# rig_ended waits until the rig, which ends with its input, is gone.
rig_ended() {
	[ -n "$rig_pid" ] || return 0
	exec 9>&-
	wait "$rig_pid" || true
	rig_pid=
}

cleanup() {
	rig_ended
	if [ -d "/sys/class/net/$bridge" ]; then ip link del "$bridge"; fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

install_all() {
	local list
	list=$(rig_packages) || return
	# shellcheck disable=SC2086 # one word each
	install_missing gcc libc6-dev $list # liblxc is a C library
}

build() {
	go build -o "$work/" ./internal/testrig/cmd/rig ./examples/quickstart
}

start_libvirtd() {
	mkfifo "$work/lifeline"
	"$work/rig" up -dir "$work/d" <"$work/lifeline" >"$work/vars" 2>"$work/rig.log" &
	rig_pid=$!
	exec 9>"$work/lifeline"
	until grep -q '^PID=' "$work/vars"; do
		kill -0 "$rig_pid" 2>/dev/null || die "the private libvirtd did not start: $(cat "$work/rig.log")"
		sleep 0.1
	done
	. "$work/vars"
}

# A root file system of BusyBox, which says what it finds itself in.
container_image() {
	local root=$work/root
	mkdir -p "$root"/bin "$root"/sbin "$root"/etc "$root"/proc "$root"/sys "$root"/dev "$root"/tmp "$root"/root || return
	cp /bin/busybox "$root/bin/" || return
	"$root/bin/busybox" --install -s "$root/bin" && find "$root/bin" -type l -exec ln -sf busybox {} \; || return
	cat >"$root/sbin/init" <<-'INIT'
		#!/bin/sh
		export PATH=/bin
		trap 'exit 0' PWR
		echo "FACT hostname=$(hostname)"
		echo "FACT addr=$(ip -o -4 addr show eth0 | awk '{ print $4 }')"
		echo "FACT root-is=$(awk '{ print $2 }' /proc/self/uid_map)"
		echo "BOOTED-OK $(hostname)"
		while :; do
			sleep 1000 &
			wait $!
		done
	INIT
	chmod 755 "$root/sbin/init" || return
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd" || return
	tar -C "$root" --owner=0 --group=0 --numeric-owner -cf "$work/root.tar" .
}

host_for_containers() {
	mkdir -m 711 "$containers" && ip link add "$bridge" type bridge && ip link set "$bridge" up
}

kvm_guest() {
	"$work/quickstart" -uri "$URI" -pool "$POOL" -bridge "$BRIDGE" -emulate ifMust -lockdir "$work/locks" -image "$work/guest.qcow2" 2>&1
}

container() {
	"$work/quickstart" -lxcpath "$containers" -bridge "$bridge" -lockdir "$work/locks" -root "$work/root.tar" 2>&1
}

on_libvirtd() { XDG_CACHE_HOME="$work/cache" virsh -q -c "$URI" "$@"; }

# processes prints those that name our directory, except for this script's own.
processes() {
	local p
	for p in /proc/[0-9]*; do
		[ "${p#/proc/}" = "$$" ] || [ "${p#/proc/}" = "$BASHPID" ] || ! tr '\0' ' ' 2>/dev/null <"$p/cmdline" | grep -F "$work" || true
	done
}

bridges() { ip -o link show type bridge | awk '{ print $2 }' | sort; }

# nothing WHAT TEXT complains unless the text is empty.
nothing() {
	if [ -n "$2" ]; then
		echo "left behind: $1: $2" >&2
		return 1
	fi
	echo "no $1 is left"
}

verify_guests() {
	local domains volumes
	domains=$(on_libvirtd list --all --name) && volumes=$(on_libvirtd vol-list "$POOL") || return
	nothing domain "$domains" && nothing volume "$volumes" && nothing "file in the pool" "$(ls -A "$POOL_DIR")"
}

# What belongs to containers is below their directory, in nftables, and in a control
# group whose name is made from the directory's. What the backend keeps to be able to
# write on a full disk is no guest's.
verify_containers() {
	local group
	group=provision.lxc/$(printf %s "$containers" | sha256sum | head -c 8)
	nothing "file of a container" "$(find "$containers" -mindepth 1 ! -type d ! -path "$containers/.provision/spare/*")" &&
		nothing mount "$(grep -F " $containers/" /proc/self/mountinfo)" &&
		nothing "table of nftables" "$(nft list tables | grep provision_)" &&
		nothing "control group of a container" "$(find /sys/fs/cgroup -mindepth 3 -path "*/$group/*" -type d)" || return
	find /sys/fs/cgroup -depth -type d -path "*/$group" -exec rmdir {} + # is empty, and stays otherwise
	ip link del "$bridge"
}

verify_machine() {
	rig_ended
	local after running
	after=$(bridges)
	running=$(processes)
	rm -rf "$work"
	nothing process "$running" && nothing bridge "$(comm -13 <(echo "$bridges_before") <(echo "$after"))" &&
		nothing "file of the demo" "$(ls -d "$work" 2>/dev/null)"
}

begin=$SECONDS
stage "Debian packages" install_all
bridges_before=$(bridges)
stage "build the programs" build
stage "start a private libvirtd" start_libvirtd
stage "build the image of a guest" "$work/rig" image -o "$work/guest.qcow2"
stage "the life of a KVM guest" kvm_guest
stage "look for what is left in libvirt" verify_guests
stage "build the root file system of a container" container_image
stage "make a bridge and a directory for containers" host_for_containers
stage "the same life of a container" container
stage "look for what is left of it" verify_containers
stage "stop libvirtd, look for what is left here" verify_machine
echo "demo done in $((SECONDS - begin)) s"
