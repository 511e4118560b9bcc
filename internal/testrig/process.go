//go:build linux

package testrig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Processes returns the pids, as seen from outside, of everything alive in
// the namespace. After [Libvirt.Stop] there are none.
func (l *Libvirt) Processes() ([]int, error) {
	select {
	case <-l.gone: // the namespace's identity may have been given away again
		return nil, nil
	default:
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ns, err := os.Readlink(procPath(pid, "ns/pid")); err == nil && ns == l.pidns {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Guests returns the names of the guests that have a living QEMU process.
func (l *Libvirt) Guests() ([]string, error) {
	pids, err := l.Processes()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, pid := range pids {
		cmdline, err := os.ReadFile(procPath(pid, "cmdline"))
		if err != nil {
			continue // it has just ended
		}
		if name, ok := guestName(cmdline); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// GuestPID returns the pid, as seen from outside, of a guest's QEMU process.
func (l *Libvirt) GuestPID(name string) (int, error) {
	pids, err := l.Processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		cmdline, err := os.ReadFile(procPath(pid, "cmdline"))
		if err != nil {
			continue // it has just ended
		}
		if n, ok := guestName(cmdline); ok && n == name {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("guest %s has no QEMU process: %w", name, os.ErrProcessDone)
}

// guestName finds the guest's name in the command line of a QEMU process. A
// child that libvirtd has forked but not yet turned into QEMU has none.
func guestName(cmdline []byte) (string, bool) {
	args := strings.Split(string(bytes.TrimRight(cmdline, "\x00")), "\x00")
	if !strings.HasPrefix(filepath.Base(args[0]), "qemu-system-") {
		return "", false
	}
	for i, arg := range args[:len(args)-1] {
		if rest, ok := strings.CutPrefix(args[i+1], "guest="); ok && arg == "-name" {
			name, _, _ := strings.Cut(strings.ReplaceAll(rest, ",,", "\x00"), ",") // ",," is a comma
			return strings.ReplaceAll(name, "\x00", ","), true
		}
	}
	return "", false
}

// stat returns a process's command name and parent.
func stat(pid int) (comm string, ppid int, err error) {
	text, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return "", 0, err
	}
	// pid (comm) state ppid ...; comm may itself hold parentheses.
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return "", 0, errors.New("malformed stat")
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return "", 0, os.ErrProcessDone
	}
	ppid, err = strconv.Atoi(fields[1])
	return string(text[open+1 : end]), ppid, err
}

func procPath(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
