//go:build linux

package lxc

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// How long is waited between two looks at a process that is traced: a start has about a
// dozen stops. There is no way to wait for some processes and nothing else of a
// program that has other children.
const (
	traceFirst = 50 * time.Microsecond
	traceLast  = 10 * time.Millisecond
)

const traceOptions = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE

// wait waits for a change of a process, or of any in a group of processes if that is
// negative.
func (a *attached) wait(pid int) (int, unix.WaitStatus, error) {
	for pause := traceFirst; ; pause = min(pause*3/2, traceLast) {
		var ws unix.WaitStatus
		got, err := unix.Wait4(pid, &ws, unix.WALL|unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, 0, os.NewSyscallError("wait4", err)
		case got != 0:
			return got, ws, nil
		}
		select {
		case <-a.quit:
			return 0, 0, errLeft
		case <-time.After(pause):
		}
	}
}

// untilClone follows lxc-attach, which was just started, until it has made the process
// that becomes the program. That is stopped then, and alone traced.
func (a *attached) untilClone(attach int) (int, error) {
	if _, ws, err := a.wait(attach); err != nil || !ws.Stopped() {
		return 0, errors.Join(err, errNoExec)
	}
	if err := unix.PtraceSetOptions(attach, traceOptions); err != nil {
		return 0, os.NewSyscallError("ptrace", err)
	}
	if err := unix.PtraceCont(attach, 0); err != nil {
		return 0, os.NewSyscallError("ptrace", err)
	}
	begun := 0 // the program, if it has come to its first stop before its maker told of it
	for {
		pid, ws, err := a.wait(-attach)
		switch {
		case err != nil:
			return 0, err
		case !ws.Stopped() && pid == attach:
			return 0, errNoExec
		case !ws.Stopped():
			continue
		case elsewhere(pid):
			begun = pid
			continue
		}
		switch ws.TrapCause() {
		case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE:
			made, err := unix.PtraceGetEventMsg(pid)
			if err != nil {
				return 0, os.NewSyscallError("ptrace", err)
			}
			a.traced = append(a.traced, int(made))
			if elsewhere(int(made)) {
				if begun != int(made) {
					if _, ws, err := a.wait(int(made)); err != nil || !ws.Stopped() {
						return 0, errors.Join(err, errNoExec)
					}
				}
				return int(made), a.letGo(attach, pid, int(made))
			}
		}
		if err := resume(pid, ws); err != nil {
			return 0, err
		}
	}
}

// elsewhere says whether a process is in another process namespace than this one.
func elsewhere(pid int) bool {
	own, err1 := os.Readlink("/proc/self/ns/pid")
	its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	return err1 == nil && err2 == nil && own != its
}

// resume lets a traced process go on, with the signal that it has stopped for.
func resume(pid int, ws unix.WaitStatus) error {
	sig := ws.StopSignal()
	if sig == unix.SIGTRAP || sig == unix.SIGSTOP {
		sig = 0 // the tracer's own, and that which a process begins with
	}
	err := unix.PtraceCont(pid, int(sig))
	if errors.Is(err, unix.ESRCH) {
		err = nil // killed: the next wait tells
	}
	return os.NewSyscallError("ptrace", err)
}

// letGo ends the tracing of all but the program, which is held at its beginning:
// lxc-attach waits for it, and so does not end.
func (a *attached) letGo(attach, maker, program int) error {
	if err := unix.PtraceSetOptions(program, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACEEXEC); err != nil {
		return os.NewSyscallError("ptrace", err)
	}
	if err := unix.PtraceDetach(maker); err != nil {
		return os.NewSyscallError("ptrace", err)
	}
	a.traced = []int{program}
	if maker == attach {
		return nil
	}
	if err := unix.Kill(attach, unix.SIGSTOP); err != nil {
		return os.NewSyscallError("kill", err)
	}
	for {
		_, ws, err := a.wait(attach)
		switch {
		case err != nil:
			return err
		case !ws.Stopped():
			return errNoExec
		case ws.StopSignal() == unix.SIGSTOP:
			return os.NewSyscallError("ptrace", unix.PtraceDetach(attach))
		}
		if err := resume(attach, ws); err != nil {
			return err
		}
	}
}

// untilExec follows the program to its last exec, stops lxc-attach at the first, and
// lets the program go. If it ends before, the status is that end.
func (a *attached) untilExec(attach, program int) (o outcome, err error) {
	if err := resume(program, unix.WaitStatus(0x7f|int(unix.SIGSTOP)<<8)); err != nil {
		return o, err
	}
	for n := 0; ; {
		_, ws, err := a.wait(program)
		if err != nil {
			return o, err
		}
		if !ws.Stopped() {
			a.traced = nil
			return outcome{status: ws, ended: true, ran: n > 0 && !couldNot(ws)}, nil
		}
		if ws.TrapCause() == unix.PTRACE_EVENT_EXEC {
			if n++; n == 1 {
				if err := a.holdAttach(attach); err != nil {
					return o, err
				}
			}
			if n == a.execs {
				o.ran, a.traced = true, nil
				return o, os.NewSyscallError("ptrace", unix.PtraceDetach(program))
			}
		}
		if err := resume(program, ws); err != nil {
			return o, err
		}
	}
}

// couldNot says that a shell has ended for want of the program. If it did not, it is the
// program: that of BusyBox has some built in, for which it needs no exec.
func couldNot(ws unix.WaitStatus) bool {
	code := ws.ExitStatus()
	return code == statusNoDir || code == statusNoRight || code == statusMissing
}

// holdAttach stops lxc-attach, which has nothing to do any more but to wait.
func (a *attached) holdAttach(attach int) error {
	if err := unix.Kill(attach, unix.SIGSTOP); err != nil {
		return os.NewSyscallError("kill", err)
	}
	for pause := traceFirst; ; pause = min(pause*3/2, traceLast) {
		var ws unix.WaitStatus
		got, err := unix.Wait4(attach, &ws, unix.WUNTRACED|unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case got == 0:
			time.Sleep(pause)
			continue
		case !ws.Stopped():
			return errNoExec
		}
		if a.started != nil {
			return a.started(attach)
		}
		return nil
	}
}
