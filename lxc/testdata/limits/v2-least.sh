	{ echo 'max 100000' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.max; } 2>/dev/null || :
	{ echo '100' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.weight; } 2>/dev/null || :
	{ echo '2-3,6-7' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpuset.cpus; } 2>/dev/null || :
	echo '1073741824' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.max
	echo '0' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.swap.max
	{ echo '0' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.min; } 2>/dev/null || :
	{ echo 'max' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/pids.max; } 2>/dev/null || :
	{ echo '8:0 rbps=max wbps=max riops=max wiops=max' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/io.max; } 2>/dev/null || :
