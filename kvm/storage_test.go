//go:build linux

package kvm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// openPool opens a Host with disks in a pool, and all else in another if named.
func openPool(t *testing.T, rig *testrig.Libvirt, name, files string) *provision.Host {
	t.Helper()
	b := kvm.New(&kvm.Options{URI: rig.URI, Pool: name, FilePool: files, Emulation: kvm.EmulateAlways})
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: filepath.Join(t.TempDir(), "lock")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func cacheDir(t *testing.T) string {
	if dir := os.Getenv("TESTRIG_CACHE"); dir != "" {
		return dir
	}
	return t.TempDir()
}

// filesOf lists a directory as libvirtd sees it.
func filesOf(t *testing.T, rig *testrig.Libvirt, dir string) []string {
	t.Helper()
	out, err := rig.Inside(context.WithoutCancel(t.Context()), "ls", "-1", dir)
	require.NoError(t, err)
	return strings.Fields(out)
}

// TestDataDisks: they are what was asked for, in this order, and one that is taken
// away by hand is the one that a plan misses.
func TestDataDisks(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	s := tinySpec("data")
	s.Disks = append(s.Disks, provision.Disk{Size: 32 * provision.MiB}, provision.Disk{Size: 48*provision.MiB + 512})
	g := bootedGuest(t, h, s)
	text, err := g.ConsoleLog(t.Context(), 0)
	require.NoError(t, err)
	for _, line := range []string{"disk=vda size=67108864 ro=0", "disk=vdb size=33554432 ro=0", "disk=vdc size=50332672 ro=0"} {
		require.Contains(t, string(text), line)
	}
	require.Regexp(t, `disk=vdd size=\d+ ro=1`, string(text), "the seed is the last")
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, st.Disks, 3)
	for i, want := range []string{"root", "disk1", "disk2"} {
		require.Equal(t, want, st.Disks[i].Serial)
		require.Equal(t, (s.Disks[i].Size+1023)/1024*1024, st.Disks[i].Size, "libvirt rounds up to KiB")
	}
	require.Empty(t, changes(t, h, s))
	_, err = rig.Virsh(t.Context(), "detach-disk", "data", "vdb", "--config")
	require.NoError(t, err)
	list := changes(t, h, s)
	require.Len(t, list, 1, "%v", list)
	require.Equal(t, "disks[1].size", list[0].Path)
	require.Equal(t, [2]string{"", "32MiB"}, [2]string{list[0].Have, list[0].Want})
	st, err = g.Status(t.Context())
	require.NoError(t, err)
	for _, l := range st.Limits {
		require.Equal(t, l.Path != "disks[1].size", l.Enforcement == provision.Enforced || l.Path == "nics[0].antiSpoof", "%+v", l)
	}
	remove(t, g)
	require.Equal(t, before, leftovers(t, rig), "the detached volume goes too")
}

// TestFullCopy: a full copy does without the image, an overlay does not.
func TestFullCopy(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("copied")
	s.Native = &kvm.Native{RootDisk: kvm.RootCopy}
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.Disks[0].Size, st.Disks[0].Size)
	require.Empty(t, changes(t, h, s))
	mode, err := rig.Inside(t.Context(), "stat", "-c", "%a", st.Disks[0].Source)
	require.NoError(t, err)
	require.Equal(t, "600", strings.TrimSpace(mode))

	over, err := h.Create(t.Context(), tinySpec("overlaid"), nil)
	require.NoError(t, err)
	require.ErrorIs(t, h.RemoveImage(t.Context(), imageName), provision.ErrState)
	remove(t, over)
	require.NoError(t, h.RemoveImage(t.Context(), imageName))
	require.NoError(t, g.Start(t.Context(), nil))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = g.Wait(ctx, provision.UntilConsole("BOOTED-OK copied", 0))
	require.NoError(t, err)
	require.Equal(t, "copied", facts(t, g)["hostname"])
}

// TestCopyGivenUp: the half copy of a create that is cancelled goes, even though
// libvirtd finishes it first.
func TestCopyGivenUp(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	big := bytes.Repeat([]byte("not zero"), 32<<20)
	_, err := h.ImportImage(t.Context(), "big", bytes.NewReader(big), &provision.ImportOptions{Format: "raw"})
	require.NoError(t, err)
	before := leftovers(t, rig)
	s := tinySpec("cut")
	s.Image, s.Disks[0].Size = "big", 0
	s.Native = &kvm.Native{RootDisk: kvm.RootCopy}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if list, _ := filepath.Glob(rig.PoolDir + "/*.root.qcow2"); len(list) > 0 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err = h.Create(ctx, s, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, leftovers(t, rig))
}

// TestParallelCreates: creates in one pool do not disturb one another, nor does one
// who has the pool refreshed all the time.
func TestParallelCreates(t *testing.T) {
	rig := startLinux(t) // a copy of its image takes as long as some refreshes
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	stop := make(chan struct{})
	var refreshed, refused int
	var loop sync.WaitGroup
	loop.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := rig.Virsh(t.Context(), "pool-refresh", "default"); err == nil {
				refreshed++
			} else {
				refused++
			}
		}
	})
	errs := make(chan error, 8)
	for i := range cap(errs) {
		go func() {
			errs <- func() error {
				for j := range 4 {
					s := tinySpec(fmt.Sprintf("p%d-%d", i, j))
					s.Disks = append(s.Disks, provision.Disk{Size: provision.MiB})
					if (i+j)%2 == 0 {
						s.Native = &kvm.Native{RootDisk: kvm.RootCopy}
					}
					g, err := h.Create(t.Context(), s, nil)
					if err != nil {
						return err
					}
					if j == 3 { // a delete that has to refresh the pool itself
						rotated := filepath.Join(rig.PoolDir, string(g.ID())+".console.log.0")
						if err := os.WriteFile(rotated, nil, 0o600); err != nil {
							return err
						}
					}
					if err := g.Delete(t.Context(), nil); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	close(stop)
	loop.Wait()
	require.Positive(t, refreshed)
	t.Logf("the pool was refreshed %d times, and refused it %d times", refreshed, refused)
	require.Equal(t, before, leftovers(t, rig))
}

// TestUploadThatVanishes: a refresh makes libvirt forget that an upload is under
// way; whoever deletes the volume then does not make a success of it.
func TestUploadThatVanishes(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	const name = "image-lost.raw"
	content := bytes.Repeat([]byte("sector of an image that is lost\n"), 1<<15)
	for what, meddle := range map[string]func() error{
		"deleted": func() error {
			_, err := rig.Virsh(t.Context(), "vol-delete", name, "--pool", "default")
			return err
		},
		"replaced": func() error {
			return errors.Join(os.Remove(filepath.Join(rig.PoolDir, name)),
				os.WriteFile(filepath.Join(rig.PoolDir, name), make([]byte, len(content)), 0o600))
		},
		"cut": func() error { return os.Truncate(filepath.Join(rig.PoolDir, name), 4096) },
	} {
		t.Run(what, func(t *testing.T) {
			half := 0
			r := readerFunc(func(p []byte) (int, error) {
				part := content[half:]
				if half < len(content)/2 {
					part = content[half : len(content)/2]
				}
				if what != "cut" && half == len(content)/2 || what == "cut" && half == len(content) {
					require.Eventually(t, func() bool {
						info, err := os.Stat(filepath.Join(rig.PoolDir, name))
						return err == nil && info.Size() == int64(len(content))
					}, time.Minute, time.Millisecond)
					time.Sleep(100 * time.Millisecond)
					_, err := rig.Virsh(t.Context(), "pool-refresh", "default")
					require.NoError(t, err)
					require.NoError(t, meddle())
				}
				n := copy(p, part)
				half += n
				if n == 0 {
					return 0, io.EOF
				}
				return n, nil
			})
			_, err := h.ImportImage(t.Context(), "lost", r, &provision.ImportOptions{Format: "raw", Size: int64(len(content))})
			require.ErrorIs(t, err, provision.ErrState)
			require.ErrorContains(t, err, "by others while it was written")
			require.Equal(t, before, leftovers(t, rig))
		})
	}
}

// TestFullPool: a pool that fills up is named, and nothing is left in it.
func TestFullPool(t *testing.T) {
	rig := startLinux(t) // its image does not fit
	dir := filepath.Join(rig.Dir, "small")
	for _, args := range [][]string{{"mkdir", dir}, {"mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", dir}} {
		_, err := rig.Inside(t.Context(), args[0], args[1:]...)
		require.NoError(t, err)
	}
	_, err := rig.Virsh(t.Context(), "pool-create-as", "small", "dir", "--target", dir)
	require.NoError(t, err)
	h := openPool(t, rig, "small", "default")
	full := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, `"small" is full`)
		require.Empty(t, filesOf(t, rig, dir))
	}
	before := leftovers(t, rig)
	images := openPool(t, rig, "small", "")
	content := bytes.Repeat([]byte{1}, 4<<20)
	_, err = images.ImportImage(t.Context(), "big", bytes.NewReader(content), &provision.ImportOptions{Format: "raw"})
	full(err)
	s := tinySpec("full")
	s.Native = &kvm.Native{RootDisk: kvm.RootCopy}
	_, err = h.Create(t.Context(), s, nil)
	full(err)
	_, err = rig.Inside(t.Context(), "dd", "if=/dev/zero", "of="+dir+"/ballast", "bs=4096", "count=500")
	require.NoError(t, err)
	_, err = h.Create(t.Context(), tinySpec("full"), nil)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, []string{"ballast"}, filesOf(t, rig, dir))
	require.Equal(t, before, leftovers(t, rig))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
