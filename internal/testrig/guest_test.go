//go:build linux

package testrig_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGuestLife(t *testing.T) {
	l := start(t, t.TempDir())
	install(t, l)

	log := boot(t, l, "web1", "52:54:00:a1:b2:01", "")
	require.Contains(t, log, "FACT seed=none\n")
	require.Contains(t, log, "FACT hostname=localhost\n")
	require.Contains(t, log, "FACT nic=eth0 mac=52:54:00:a1:b2:01 addr= ")
	require.Contains(t, log, "FACT disk=vda size=100663296 ro=0\n")
	require.Contains(t, log, "FACT rng=virtio_rng.0\n")
	require.Contains(t, log, ":virtio_blk")
	guests, err := l.Guests()
	require.NoError(t, err)
	require.Equal(t, []string{"web1"}, guests)

	t.Run("console", func(t *testing.T) {
		tty, err := os.OpenFile(virsh(t, l, "ttyconsole", "web1"), os.O_RDWR, 0)
		require.NoError(t, err)
		defer tty.Close()
		_, err = tty.WriteString("hello  there\n")
		require.NoError(t, err)
		waitConsole(t, l, "web1", "ECHO hello  there")
	})
	t.Run("restart", func(t *testing.T) {
		begin := time.Now()
		require.NoError(t, l.Restart(t.Context()))
		t.Logf("libvirtd was back after %v", time.Since(begin).Round(time.Millisecond))
		require.Equal(t, "running", virsh(t, l, "domstate", "web1"))
		require.Contains(t, virsh(t, l, "pool-info", "default"), "running")
		require.NoError(t, l.Kill())
		require.NoError(t, l.Restart(t.Context()), "after Kill")
		guests, err := l.Guests()
		require.NoError(t, err)
		require.Equal(t, []string{"web1"}, guests)
	})
	t.Run("freeze", func(t *testing.T) {
		require.NoError(t, l.Freeze())
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := l.Virsh(ctx, "list")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, l.Thaw())
		virsh(t, l, "list")
	})
	t.Run("shutdown", func(t *testing.T) {
		begin := time.Now()
		virsh(t, l, "shutdown", "web1")
		eventually(t, "power off", isState(t, l, "web1", "shut off"))
		t.Logf("powered off after %v", time.Since(begin).Round(time.Millisecond))
		guests, err := l.Guests()
		require.NoError(t, err)
		require.Empty(t, guests)
	})
	t.Run("stop", func(t *testing.T) {
		virsh(t, l, "start", "web1")
		pids, err := l.Processes()
		require.NoError(t, err)
		require.NoError(t, l.Freeze())
		require.NoError(t, l.Stop(), "of a frozen one")
		for _, pid := range pids {
			require.NoDirExists(t, filepath.Join("/proc", strconv.Itoa(pid)))
		}
		pids, err = l.Processes()
		require.NoError(t, err)
		require.Empty(t, pids)
		require.NoError(t, l.Stop(), "again")
	})
	t.Run("reboot", func(t *testing.T) {
		l := start(t, l.Dir)
		require.Equal(t, "shut off", virsh(t, l, "domstate", "web1"))
		require.Contains(t, virsh(t, l, "pool-info", "default"), "running")
	})
}
