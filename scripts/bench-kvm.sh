#!/usr/bin/env bash
# Compares the kvm backend with raw go-libvirt calls, virsh and virt-install, side
# by side in one run on a private libvirtd: a list of 1,000 guests, the life of one
# guest, and 24 lives four at a time. Prints medians and ratios. ROUNDS is how often
# each is measured.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" || exit
need_root "$@"

install_needed() {
	local list
	list=$(rig_packages) || return
	# shellcheck disable=SC2086 # one word each
	install_missing $list virtinst
}

stage "Debian packages" install_needed || exit
go run ./scripts/benchkvm -rounds "${ROUNDS:-9}" "$@"
