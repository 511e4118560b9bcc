	device=$(mountpoint -d "$guest/rootfs")
	echo '100000' >/sys/fs/cgroup/cpu/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.cfs_period_us
	echo '150000' >/sys/fs/cgroup/cpu/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.cfs_quota_us
	echo '3072' >/sys/fs/cgroup/cpu/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.shares
	{ echo '2-3,6-7' >/sys/fs/cgroup/cpuset/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpuset.cpus; } 2>/dev/null || :
	{ echo '2-3' >/sys/fs/cgroup/cpuset/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/cpuset.cpus; } 2>/dev/null || :
	echo '2-3' >/sys/fs/cgroup/cpuset/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpuset.cpus
	{ echo -1 >/sys/fs/cgroup/memory/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.memsw.limit_in_bytes; } 2>/dev/null || :
	echo '1073741824' >/sys/fs/cgroup/memory/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.limit_in_bytes
	echo '2147483648' >/sys/fs/cgroup/memory/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.memsw.limit_in_bytes
	echo '500' >/sys/fs/cgroup/pids/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/pids.max
	{ echo "$device"' 0' >/sys/fs/cgroup/io/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/blkio.throttle.read_bps_device; } 2>/dev/null || :
	{ echo "$device"' 0' >/sys/fs/cgroup/io/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/blkio.throttle.read_bps_device; } 2>/dev/null || :
	{ echo "$device"' 0' >/sys/fs/cgroup/io/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/blkio.throttle.write_bps_device; } 2>/dev/null || :
	{ echo "$device"' 0' >/sys/fs/cgroup/io/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/blkio.throttle.write_bps_device; } 2>/dev/null || :
	echo "$device"' 100' >/sys/fs/cgroup/io/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/blkio.throttle.read_iops_device
	echo "$device"' 100' >/sys/fs/cgroup/io/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/blkio.throttle.read_iops_device
	echo "$device"' 100' >/sys/fs/cgroup/io/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/blkio.throttle.write_iops_device
	echo "$device"' 100' >/sys/fs/cgroup/io/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/ns/blkio.throttle.write_iops_device
	prlimit --pid "$LXC_PID" --nofile=4096:4096 2>/dev/null || :
