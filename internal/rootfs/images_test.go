//go:build linux

package rootfs

import "maps"

// users are files of users as Debian has them.
var users = map[string]string{
	"etc/passwd":   "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nsync:x:4:65534:sync:/bin:/bin/sync\nold:x:1000:1000::/home/old:/bin/sh\n",
	"etc/shadow":   "root:*:19800:0:99999:7:::\ndaemon:*:19800:0:99999:7:::\nold:!:19800::::::\n",
	"etc/group":    "root:x:0:\ndaemon:x:1:\nshadow:x:42:\nsudo:x:27:old\nold:x:1000:\nother:x:1001:\n",
	"etc/gshadow":  "root:*::\ndaemon:*::\nshadow:*::\nsudo:*::old\nold:!::\n",
	"root/":        "",
	"bin":          "-> usr/bin",
	"usr/bin/bash": "ELF",
	"etc/hosts":    "127.0.0.1\tlocalhost\n# of the image\n::1\tlocalhost ip6-localhost\n",
}

var systemd = map[string]string{
	"usr/lib/systemd/systemd": "ELF", "lib": "-> usr/lib", "sbin": "-> usr/sbin",
	"usr/sbin/init":           "-> ../lib/systemd/systemd",
	"etc/machine-id":          "0123456789abcdef0123456789abcdef\n",
	"var/lib/dbus/machine-id": "0123456789abcdef0123456789abcdef\n",
	"etc/hostname":            "build-host\n",
	"etc/resolv.conf":         "-> ../run/systemd/resolve/stub-resolv.conf",
	"usr/lib/systemd/system/systemd-networkd.service": "[Unit]\n",
	"usr/lib/systemd/system/systemd-networkd.socket":  "[Unit]\n",
}

var sshd = map[string]string{
	"etc/ssh/sshd_config":      "UsePAM yes\n",
	"etc/ssh/ssh_host_rsa_key": "of the image\n", "etc/ssh/ssh_host_rsa_key.pub": "ssh-rsa AAAA root@build\n",
	"etc/ssh/ssh_host_ed25519_key": "of the image\n", "etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA root@build\n",
}

func files(list ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range list {
		maps.Copy(all, m)
	}
	return all
}

const wants = "etc/systemd/system/multi-user.target.wants/"

// images are trees with what is looked for, as such images have it.
func images() map[string]map[string]string {
	ifupdown := map[string]string{
		"usr/sbin/ifup":                  "ELF",
		wants + "networking.service":     "-> /lib/systemd/system/networking.service",
		"etc/network/interfaces":         "# of the image\nauto lo eth0\niface lo inet loopback\n\niface eth0 inet dhcp\n    hostname x\n# a comment\niface wlan0 inet \\\n  manual\nsource interfaces.d/*\n",
		"etc/network/interfaces.d/setup": "auto eth1\niface eth1 inet6 auto\nallow-hotplug eth7\n",
		"etc/sudoers.d/README":           "#\n", "etc/skel/.bashrc": "# bash\n", "etc/skel/.config/": "",
	}
	busybox := map[string]string{
		"etc/passwd": "root::0:0:root:/root:/bin/sh", "etc/group": "root:x:0:",
		"bin/busybox": "ELF", "bin/sh": "-> busybox", "sbin/init": "-> ../bin/busybox",
		"sbin/ifup": "-> ../bin/busybox", "etc/inittab": "::sysinit:/etc/init.d/rcS\n", "etc/resolv.conf": "nameserver 10.0.3.1\n",
	}
	alpine := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/ash\n", "etc/shadow": "root:!::0:::::\n", "etc/group": "root:x:0:root\nwheel:x:10:root\n",
		"bin/busybox": "ELF", "bin/sh": "-> /bin/busybox", "sbin/init": "-> /bin/busybox", "sbin/openrc": "ELF", "sbin/ifup": "-> /bin/busybox",
		"etc/init.d/networking": "#!/sbin/openrc-run\n", "etc/runlevels/boot/": "",
		"etc/hosts": "127.0.0.1\tlocalhost.localdomain localhost\n127.0.1.1\told.example.org old\n::1\tlocalhost\n",
	}
	nm := map[string]string{
		wants + "NetworkManager.service":         "-> /usr/lib/systemd/system/NetworkManager.service",
		"etc/NetworkManager/system-connections/": "", "etc/group": "root:x:0:\nwheel:x:10:\n",
	}
	return map[string]map[string]string{
		"debian-networkd": files(users, systemd, sshd),
		"debian-ifupdown": files(users, systemd, sshd, ifupdown),
		"ubuntu-netplan":  files(users, systemd, map[string]string{"usr/sbin/netplan": "#!", "etc/netplan/10-lxc.yaml": "network: {version: 2}\n"}),
		"centos-nm":       files(users, systemd, nm),
		"busybox":         busybox,
		"alpine-openrc":   alpine,
		"cloud-init":      files(users, systemd, sshd, map[string]string{"usr/bin/cloud-init": "#!", "etc/cloud/cloud.cfg": "users: [default]\n"}),
		"unknown":         files(users, map[string]string{"sbin/init": "ELF"}),
	}
}
