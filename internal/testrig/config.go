//go:build linux

package testrig

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxSocket is what sun_path holds, less the final zero byte.
const maxSocket = 107

const daemonConf = `listen_tcp = 0
listen_tls = %[3]d
listen_addr = "127.0.0.1"
ca_file = "%[4]s/cacert.pem"
cert_file = "%[4]s/servercert.pem"
key_file = "%[4]s/serverkey.pem"
auth_tls = "none"
unix_sock_dir = "%[1]s/run"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "%[2]s"
log_outputs = "3:file:%[1]s/log/libvirtd.log"
`

// qemuConf keeps libvirtd off virtlogd, AppArmor and file owners.
const qemuConf = `user = "root"
group = "root"
swtpm_user = "root"
swtpm_group = "root"
dynamic_ownership = 0
stdio_handler = "file"
security_driver = "none"
namespaces = []
`

// qemuLimits is what depends on the options: control groups and huge pages.
func qemuLimits(dir string, o *LibvirtOptions) string {
	text := "cgroup_controllers = []\n"
	if o.Cgroups {
		text = fmt.Sprintf("cgroup_controllers = [\"%s\"]\n", strings.Join(cgroupsUsed, `", "`))
	}
	if o.HugePages {
		return text + fmt.Sprintf("hugetlbfs_mount = %q\n", hugePages(dir))
	}
	return text + "hugetlbfs_mount = []\n"
}

// hugePages is where the pool of huge pages is mounted.
func hugePages(dir string) string { return filepath.Join(dir, "hugepages") }

// prepare makes the directory tree of a private libvirtd. A tree left by a
// stopped one is kept, except for what a reboot of the machine would clear.
func prepare(dir string, o *LibvirtOptions) error {
	if i := strings.IndexAny(dir, "\"'\\,;:* \t\n"); i >= 0 {
		return fmt.Errorf("directory %q: the character %q confuses libvirt; choose another", dir, dir[i])
	}
	if sock := filepath.Join(dir, "run", "libvirt-admin-sock"); len(sock) > maxSocket {
		return fmt.Errorf("directory %q: socket path has %d bytes, more than %d; choose a directory shorter by %d",
			dir, len(sock), maxSocket, len(sock)-maxSocket)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	conf := filepath.Join(dir, "libvirtd.conf")
	_, err = os.Stat(conf)
	switch {
	case err == nil:
		run := filepath.Join(dir, "run")
		return errors.Join(os.RemoveAll(run), os.Mkdir(run, 0o700))
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case len(entries) > 0:
		return fmt.Errorf("directory %q is not empty; give an empty or new one", dir)
	}
	for _, sub := range []string{"etc/qemu", "etc/secrets", "lib", "cache", "log", "run", "pool"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	if o.HugePages {
		if err := os.Mkdir(hugePages(dir), 0o700); err != nil {
			return err
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "etc/nwfilter"), os.DirFS("/etc/libvirt/nwfilter")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/qemu.conf"), []byte(qemuConf+qemuLimits(dir, o)), 0o600); err != nil {
		return err
	}
	tls, pki := 0, dir
	if o.TLS != "" {
		tls, pki = 1, o.TLS
	}
	return os.WriteFile(conf, fmt.Appendf(nil, daemonConf, dir, newUUID(), tls, pki), 0o600)
}

// newUUID returns a random UUID. Two daemons with different ones can migrate
// guests to each other.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
