#!/usr/bin/env bash
# Shows the library on this machine: starts a private libvirtd, builds a tiny
# image of a guest, takes one guest through its life (examples/quickstart) and
# leaves nothing behind but Debian packages and Go's caches.
#
# Functions that "stage" runs do not end at the first command that fails, as
# "set -e" has no effect there: hence their && and ||.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_root "$@"

work=$(mktemp -d /tmp/provision-demo.XXXXXX) # short: it holds a socket
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
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

install_all() {
	local list
	list=$(rig_packages) || return
	# shellcheck disable=SC2086 # one word each
	install_missing $list
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

quickstart() {
	"$work/quickstart" -uri "$URI" -pool "$POOL" -bridge "$BRIDGE" -emulate ifMust -lockdir "$work/locks" -image "$work/guest.qcow2" 2>&1
}

on_libvirtd() { XDG_CACHE_HOME="$work/cache" virsh -q -c "$URI" "$@"; }

# processes prints those that name our directory, except for this script's own.
processes() {
	local p
	for p in /proc/[0-9]*; do
		[ "${p#/proc/}" = "$$" ] || [ "${p#/proc/}" = "$BASHPID" ] || ! tr '\0' ' ' <"$p/cmdline" 2>/dev/null | grep -F "$work" || true
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
stage "the life of a guest" quickstart
stage "look for what is left in libvirt" verify_guests
stage "stop libvirtd, look for what is left here" verify_machine
echo "demo done in $((SECONDS - begin)) s"
