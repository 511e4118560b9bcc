#!/usr/bin/env bash
# debian-root.sh OUT.tar builds the root file system of a Debian 12 for containers:
# systemd, its own network manager and sshd, about 270 MB. It is for tests.
#
# Needs root and mmdebstrap. Mirror and proxy are those that apt has on this machine.
# Nothing is mounted on the host but in mmdebstrap's own namespace.
set -euo pipefail

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

[ $# -eq 1 ] || die "usage: $(basename "$0") OUT.tar"
[ "$(id -u)" -eq 0 ] || die "needs root, to make files that belong to others"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
command -v mmdebstrap >/dev/null || die "there is no mmdebstrap; install the package of this name"
. "$(dirname "${BASH_SOURCE[0]}")/debian-apt.sh"

out=$(realpath -m "$1")
work=$(mktemp -d "$(dirname "$out")/.debian-XXXXXX")
trap 'rm -rf "$work"' EXIT
# A signal ends the script by way of the trap.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

suite=bookworm
packages=systemd-sysv,systemd-resolved,dbus,openssh-server,sudo,iproute2,ca-certificates

# What is done inside, besides the packages. The masked mounts belong to the kernel,
# which is the host's; what is masked beside them would work for the tests' first minute.
cat >"$work/customize" <<'HOOK'
set -eu
root=$1
chroot "$root" systemctl -q enable systemd-networkd systemd-resolved ssh
chroot "$root" systemctl -q mask sys-kernel-debug.mount sys-kernel-config.mount sys-kernel-tracing.mount
chroot "$root" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service dpkg-db-backup.timer fstrim.timer
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root/etc/hostname"
: >"$root/etc/machine-id"
HOOK

mmdebstrap --quiet --variant=minbase --format=tar --include="$packages" "${apt_options[@]}" \
	--customize-hook="sh $work/customize \"\$1\"" \
	"$suite" "$work/root.tar" \
	"deb $debian $suite main" "deb $debian $suite-updates main" "deb $security $suite-security main"
mv "$work/root.tar" "$out"
