#!/usr/bin/env bash
# debian-image.sh OUT.qcow2 builds a disk of Debian 12 for a guest, with cloud-init
# and the guest agent, which boots by itself from BIOS and whose root file system
# grows with the disk. It is for tests: its kernel and initrd stand on a partition
# of their own that upgrades inside the guest do not reach.
#
# Needs root and the Debian packages below. Mirror and proxy are those that apt has
# on this machine. Nothing is mounted on the host but in mmdebstrap's own namespace.
#
# rig: mmdebstrap dosfstools e2fsprogs fdisk mtools qemu-utils syslinux syslinux-common
set -euo pipefail

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

[ $# -eq 1 ] || die "usage: $(basename "$0") OUT.qcow2"
[ "$(id -u)" -eq 0 ] || die "needs root, to make files that belong to others"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
mbr=/usr/lib/syslinux/mbr/mbr.bin
for tool in mmdebstrap mkfs.vfat mkfs.ext4 sfdisk mcopy syslinux qemu-img $mbr; do
	command -v "$tool" >/dev/null || [ -f "$tool" ] || die "there is no $tool; see the packages in $0"
done

out=$(realpath -m "$1")
work=$(mktemp -d "$(dirname "$out")/.debian-XXXXXX")
trap 'rm -rf "$work"' EXIT
# A signal ends the script by way of the trap.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

suite=bookworm
packages=linux-image-cloud-amd64,initramfs-tools,systemd-sysv,systemd-resolved,libnss-resolve,udev,dbus,cloud-init,cloud-guest-utils,fdisk
packages+=,qemu-guest-agent,netplan.io,openssh-server,sudo,iproute2,procps

. "$(dirname "${BASH_SOURCE[0]}")/debian-apt.sh"

# What is done inside, besides the packages. The initrd needs the driver of the disk
# alone, one kind of host key is enough, and nobody reads which boot loader there is
# or what keys are: under emulation each costs seconds. So do units that are not used.
cat >"$work/customize" <<'HOOK'
set -eu
root=$1
cat >"$root/etc/fstab" <<FSTAB
LABEL=guestroot / ext4 defaults,discard 0 1
FSTAB
echo MODULES=list >"$root/etc/initramfs-tools/conf.d/modules"
printf 'virtio_pci\nvirtio_blk\n' >>"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u
cat >"$root/etc/cloud/cloud.cfg.d/20_image.cfg" <<CLOUD
ssh_genkeytypes: [ed25519]
locale: C.UTF-8
apt: {preserve_sources_list: true}
grub_dpkg: {enabled: false}
ssh: {emit_keys_to_console: false}
no_ssh_fingerprints: true
CLOUD
chroot "$root" systemctl enable systemd-networkd systemd-resolved ssh
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service dpkg-db-backup.timer fstrim.timer \
	modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service \
	systemd-binfmt.service sys-kernel-debug.mount sys-kernel-tracing.mount dev-mqueue.mount getty@tty1.service
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root/etc/hostname"
: >"$root/etc/machine-id"
HOOK

# Documentation and translations are left out.
mmdebstrap --quiet --variant=minbase --format=directory --include="$packages" "${apt_options[@]}" \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
	--customize-hook="sh $work/customize \"\$1\"" \
	"$suite" "$work/root" \
	"deb $debian $suite main" "deb $debian $suite-updates main" "deb $security $suite-security main"

# The disk: boot code, a FAT partition for the boot loader, and the root file system
# last, so that it can grow.
mib=$((1 << 20))
boot_start=1 boot_size=63 root_start=64 root_size=1472
disk=$work/disk.raw
truncate -s $(((root_start + root_size) * mib)) "$disk"
dd if=$mbr of="$disk" bs=440 count=1 conv=notrunc status=none
sfdisk --quiet "$disk" <<TABLE
label: dos
start=$((boot_start * mib / 512)), size=$((boot_size * mib / 512)), type=e, bootable
start=$((root_start * mib / 512)), size=$((root_size * mib / 512)), type=83
TABLE

cat >"$work/syslinux.cfg" <<'BOOT'
default guest
prompt 0
timeout 1
label guest
  kernel /vmlinuz
  initrd /initrd
  append root=LABEL=guestroot ro console=ttyS0,115200 quiet tsc=reliable no_timer_check mitigations=off nokaslr cryptomgr.notests i8042.noaux i8042.nokbd random.trust_cpu=on rcupdate.rcu_expedited=1 audit=0 systemd.log_level=notice
BOOT
offset=$((boot_start * mib))
mkfs.vfat -F 16 -n GUESTBOOT -h $((offset / 512)) --offset $((offset / 512)) "$disk" $((boot_size * 1024)) >/dev/null
syslinux --offset $offset --install "$disk"
mcopy -i "$disk@@$offset" "$work"/root/boot/vmlinuz-* ::vmlinuz
mcopy -i "$disk@@$offset" "$work"/root/boot/initrd.img-* ::initrd
mcopy -i "$disk@@$offset" "$work/syslinux.cfg" ::syslinux.cfg

mkfs.ext4 -q -L guestroot -d "$work/root" -E "offset=$((root_start * mib))" "$disk" ${root_size}m
qemu-img convert -f raw -O qcow2 "$disk" "$work/disk.qcow2"
mv "$work/disk.qcow2" "$out"
