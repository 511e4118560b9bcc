package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFailed: what the caller may not do tells nothing of the machine.
func TestFailed(t *testing.T) {
	for err, untried := range map[error]bool{
		unix.EPERM: true, unix.EACCES: true, unix.ENOENT: true, fs.ErrPermission: true,
		unix.EINVAL: false, unix.ENODEV: false, unix.EOPNOTSUPP: false, unix.ENOSYS: false,
	} {
		require.ErrorIs(t, failed("x", err), err)
		require.Equal(t, untried, errors.Is(failed("x", err), errUntried), err)
	}
	require.NoError(t, failed("x", nil))
}

// TestTrialsWithoutDirectory: where LXCPATH is not there yet, nothing was tried, and it
// is not made.
func TestTrialsWithoutDirectory(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	r := idRange{1_000_000, perGuest}
	p := localProber{}
	_, qerr := p.projectQuota(none)
	_, serr := p.space(none)
	for name, err := range map[string]error{"overlay": p.overlay(none), "idmap": p.idmap(t.Context(), none, r),
		"overlay-idmap": p.idmappedOverlay(t.Context(), none, r), "reflink": p.reflink(none), "quota": qerr, "space": serr} {
		require.ErrorIs(t, err, errUntried, name)
	}
	require.NoDirExists(t, none)
}

// TestTrialsOnOtherFilesystems: what does not take ID maps is told apart.
func TestTrialsOnOtherFilesystems(t *testing.T) {
	err := localProber{}.idmap(t.Context(), "/proc/self", idRange{1_000_000, perGuest})
	require.ErrorIs(t, err, unix.EINVAL)
	require.NotErrorIs(t, err, errUntried)
	err = localProber{}.overlay("/proc/self")
	require.ErrorIs(t, err, errUntried, "no directory can be made there")
}

// TestTrialsOnImages: file systems that can do more than that of this machine's root.
func TestTrialsOnImages(t *testing.T) {
	for _, kind := range []string{"xfs", "btrfs"} {
		t.Run(kind, func(t *testing.T) {
			image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
			require.NoError(t, os.WriteFile(image, nil, 0o600))
			require.NoError(t, os.Truncate(image, 400<<20))
			out, err := exec.Command("mkfs."+kind, "-q", image).CombinedOutput()
			require.NoError(t, err, "install xfsprogs and btrfs-progs: %s", out)
			verdicts := map[string]error{}
			require.NoError(t, inMountNamespace(func() error {
				if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				p := localProber{}
				verdicts["overlay"] = p.overlay(dir)
				verdicts["idmap"] = p.idmap(t.Context(), dir, idRange{1_000_000, perGuest})
				verdicts["reflink"] = p.reflink(dir)
				out, err := exec.Command("umount", dir).CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			}))
			require.Equal(t, map[string]error{"overlay": nil, "idmap": nil, "reflink": nil}, verdicts)
		})
	}
}

// TestIdmapDeep: the trial is of what the backend does: files of root are those of the
// first ID of the range.
func TestIdmapDeep(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/file", nil, 0o600))
	fd, err := idmapped(t.Context(), dir, idRange{3_000_000, perGuest})
	require.NoError(t, err)
	defer unix.Close(fd)
	var st unix.Stat_t
	require.NoError(t, unix.Fstatat(fd, "file", &st, 0))
	require.Equal(t, []uint32{3_000_000, 3_000_000}, []uint32{st.Uid, st.Gid})
}

// TestMountNamespaceOfFirstThread: the first thread, which /proc/self shows, stays where
// it is, also if the goroutine runs on it.
func TestMountNamespaceOfFirstThread(t *testing.T) {
	before, err := os.Readlink("/proc/self/ns/mnt")
	require.NoError(t, err)
	for range 20 {
		var inside string
		var thread int
		require.NoError(t, inMountNamespace(func() (err error) {
			thread = unix.Gettid()
			inside, err = os.Readlink("/proc/thread-self/ns/mnt")
			return err
		}))
		require.NotEqual(t, unix.Getpid(), thread)
		require.NotEqual(t, before, inside)
		runtime.Gosched()
	}
	after, err := os.Readlink("/proc/self/ns/mnt")
	require.NoError(t, err)
	require.Equal(t, before, after)
	here, err := os.Readlink("/proc/thread-self/ns/mnt")
	require.NoError(t, err)
	require.Equal(t, before, here)
}

// TestLinkTrial makes devices in namespaces of their own.
func TestLinkTrial(t *testing.T) {
	before, err := os.ReadDir("/proc/self/net/dev_snmp6")
	require.NoError(t, err)
	p := localProber{}
	require.NoError(t, p.link(t.Context(), "/usr/sbin/ip", "veth"))
	require.ErrorIs(t, p.link(t.Context(), "", "veth"), errUntried)
	require.ErrorIs(t, p.link(t.Context(), "/nonexistent/ip", "veth"), errUntried)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.link(ctx, "/usr/sbin/ip", "veth"), errUntried)
	err = p.link(t.Context(), "/usr/bin/false", "veth")
	require.Error(t, err)
	require.NotErrorIs(t, err, errUntried, "the kernel refused")
	for _, d := range before {
		require.FileExists(t, "/proc/self/net/dev_snmp6/"+d.Name())
	}
	for _, name := range []string{"p0", "p1"} {
		require.NoFileExists(t, "/proc/self/net/dev_snmp6/"+name)
	}
}
