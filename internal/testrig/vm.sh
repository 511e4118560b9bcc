#!/bin/busybox sh
# The first process of a throw-away machine (see vm.go). It mounts what a host of
# systemd has mounted, runs one program, and says how that ended. What the program
# writes goes to the second serial port, unchanged. All commands are busybox applets.

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t securityfs securityfs /sys/kernel/security
mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS0 2>&1
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=0666 devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
while read -r module; do insmod "$module" || exit; done </lib/modules/order
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
ip link set lo up
exec 3>/dev/ttyS1 # held open, or its settings are lost
stty -F /dev/ttyS1 raw

# pivot_root(2), which containers need, refuses the kernel's first file system: so
# that is put on top of itself, where it is a mount like any other.
mount --bind / /mnt
cd /mnt || exit
for at in proc sys dev run; do mount --move /$at /mnt/$at; done
mount --move . /
exec chroot . sh /vm/run
