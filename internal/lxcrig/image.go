//go:build linux

package lxcrig

import (
	"archive/tar"
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// initScript is the first program of the tiny guest: it says that it is there, and
// ends when it is asked to, or not if it was told to be deaf. It does a little work all
// the time.
const initScript = `#!/bin/sh
export PATH=/bin
if [ "${1-}" != deaf ]; then
	trap 'exit 0' PWR
fi
echo BOOTED-OK
echo "HOST $(hostname)"
while :; do
	sleep 1 &
	wait $!
done
`

// applets of BusyBox that the tiny guest has links for.
var applets = []string{"sh", "ls", "cat", "echo", "sleep", "hostname", "ip", "ps", "kill", "id", "env", "dd", "mkdir", "touch", "true", "false",
	"grep", "head", "wc", "df", "nc", "ping", "mount", "free", "pwd", "rm", "ln", "tty", "stty", "readlink", "nproc", "seq", "printf", "chmod", "sync", "find", "stat", "test", "tail", "pidof", "setsid", "mv", "mkfifo", "tr"}

// Tiny returns a root file system as a tarball: BusyBox, an init of a few lines, and a
// cloud-init that is none.
func Tiny(tb testing.TB) []byte {
	tb.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	require.NoError(tb, err, "the package busybox-static")
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(h tar.Header, body []byte) {
		h.Size = int64(len(body))
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		require.NoError(tb, w.WriteHeader(&h))
		_, err := w.Write(body)
		require.NoError(tb, err)
	}
	for _, dir := range []string{"bin", "sbin", "etc", "etc/network", "proc", "sys", "dev", "tmp", "root", "run", "var", "var/lib", "usr", "usr/bin"} {
		add(tar.Header{Name: dir + "/", Typeflag: tar.TypeDir}, nil)
	}
	add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg}, busybox)
	for _, a := range applets {
		add(tar.Header{Name: "bin/" + a, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	add(tar.Header{Name: "sbin/init", Typeflag: tar.TypeReg}, []byte(initScript))
	add(tar.Header{Name: "usr/bin/cloud-init", Typeflag: tar.TypeReg}, []byte("#!/bin/sh\n"))
	add(tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"))
	add(tar.Header{Name: "etc/shadow", Typeflag: tar.TypeReg, Mode: 0o640}, []byte("root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n"))
	add(tar.Header{Name: "etc/group", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("root:x:0:\nnogroup:x:65534:\n"))
	require.NoError(tb, w.Close())
	return out.Bytes()
}
