#!/usr/bin/env bash
# Compares the lxc backend with LXC's own programs and with bare calls of go-lxc, side
# by side in one run: a Debian from its image to running, starts, 50 launches four at a
# time, and a list of 200 that run. Prints medians and ratios. ROUNDS is how often each
# is measured. TESTRIG_CACHE is where the image of Debian is kept.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" || exit
need_root "$@"
export TESTRIG_CACHE=${TESTRIG_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/provision-testrig}

install_needed() {
	local list
	list=$(rig_packages) || return
	# shellcheck disable=SC2086 # one word each
	install_missing gcc libc6-dev $list
}

stage "Debian packages" install_needed || exit
stage "build" go build -o /dev/null ./scripts/benchlxc || exit
# Bridges and mounts in namespaces of their own end with them.
exec unshare --net --mount --propagation private go run ./scripts/benchlxc -rounds "${ROUNDS:-9}" "$@"
