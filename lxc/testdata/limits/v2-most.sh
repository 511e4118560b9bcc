	device=$(mountpoint -d "$guest/rootfs")
	echo '150000 100000' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.max
	echo '300' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpu.weight
	echo '2-3' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/cpuset.cpus
	echo '1073741824' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.max
	echo '1073741824' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.swap.max
	echo '1073741824' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/memory.min
	echo '500' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/pids.max
	echo "$device"' rbps=max wbps=max riops=100 wiops=100' >/sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11/guest/io.max
	for above in /sys/fs/cgroup/provision.lxc/a34c786e/5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11 /sys/fs/cgroup/provision.lxc/a34c786e /sys/fs/cgroup/provision.lxc; do
		for try in 1 2 3 4 5 6 7 8 9 10; do
			sum=0
			for below in "$above"/*/memory.min; do
				read -r bytes 2>/dev/null <"$below" || continue
				sum=$((sum + bytes))
			done
			read -r bytes <"$above/memory.min"
			[ "$bytes" != "$sum" ] || break
			echo "$sum" >"$above/memory.min"
		done
	done
	prlimit --pid "$LXC_PID" --nofile=4096:4096 2>/dev/null || :
