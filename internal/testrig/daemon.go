//go:build linux

package testrig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Restart kills libvirtd and returns when its successor answers. Guests
// survive, connections do not.
func (l *Libvirt) Restart(ctx context.Context) error {
	pid, err := l.daemon()
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("restarting libvirtd: %w", err)
	}
	if err := l.ready(ctx, pid); err != nil { // a dead one is on its way back
		return fmt.Errorf("restarting libvirtd: %w", err)
	}
	return nil
}

// Kill kills libvirtd and does not wait. A successor starts soon after.
func (l *Libvirt) Kill() error { return l.signal(syscall.SIGKILL) }

// Down kills libvirtd and keeps it from coming back until [Libvirt.Up]. Guests
// survive.
func (l *Libvirt) Down() error {
	if err := os.WriteFile(l.downFile(), nil, 0o600); err != nil {
		return err
	}
	err := l.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	for l.listening() { // the kernel closes its socket with it, but not at once
		time.Sleep(time.Millisecond)
	}
	return nil
}

// Up undoes [Libvirt.Down] and returns when libvirtd answers.
func (l *Libvirt) Up(ctx context.Context) error {
	if err := os.Remove(l.downFile()); err != nil {
		return err
	}
	return l.ready(ctx, 0)
}

func (l *Libvirt) downFile() string { return filepath.Join(l.Dir, "down") }

// Freeze stops libvirtd where it is: connections stay open, nothing answers.
func (l *Libvirt) Freeze() error { return l.signal(syscall.SIGSTOP) }

// Thaw undoes [Libvirt.Freeze].
func (l *Libvirt) Thaw() error { return l.signal(syscall.SIGCONT) }

func (l *Libvirt) signal(sig syscall.Signal) error {
	pid, err := l.daemon()
	if err == nil {
		err = syscall.Kill(pid, sig)
	}
	if err != nil {
		return fmt.Errorf("sending %v to libvirtd: %w", sig, err)
	}
	return nil
}

// ready waits, a minute at most, until libvirtd answers. If old is not zero
// it must be another process than that one.
func (l *Libvirt) ready(ctx context.Context, old int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		pid, err := l.daemon()
		if err == nil && pid != old && l.listening() {
			// It accepts connections before it serves them; virsh waits.
			if _, err = l.Virsh(ctx, "uri"); err == nil {
				return nil
			}
		}
		select {
		case <-l.gone:
			return fmt.Errorf("namespace setup failed: %s", l.logs())
		case <-ctx.Done():
			return fmt.Errorf("libvirtd does not answer: %w: %s", errors.Join(ctx.Err(), err), l.logs())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// listening reports whether somebody accepts connections on the socket. The
// file alone says nothing: a killed daemon leaves it behind.
func (l *Libvirt) listening() bool {
	conn, err := net.Dial("unix", l.Socket)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// daemon returns the host pid of libvirtd: among its namesakes, which are
// forks about to become something else, it is PID 1's own child.
func (l *Libvirt) daemon() (int, error) {
	pids, err := l.Processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		comm, ppid, err := stat(pid)
		if err == nil && comm == "libvirtd" && ppid == l.PID {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("libvirtd is not running: %w", os.ErrProcessDone)
}
