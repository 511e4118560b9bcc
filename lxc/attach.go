//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// attached is a program that lxc-attach runs in a guest. lxc-attach tells neither a
// program that it could not start from one that ended with status 1, nor a signal from
// a status. So it is traced until it has started the program, and stopped then: the
// program, which is its child and not traced any more, stays as a zombie when it has
// ended, and the kernel tells how. After that lxc-attach goes on and buries it.
//
// Tracing and waiting belong to a thread: run is called by a goroutine that is locked
// to one, and which lives for as long as lxc-attach does (PR_SET_PDEATHSIG).
type attached struct {
	argv  []string
	env   []string
	files [3]*os.File // of lxc-attach
	// execs is how many programs take the place of each other: two where a shell of
	// the guest prepares the environment.
	execs int
	// started is called when the program is about to run, with lxc-attach stopped.
	started func(attach int) error
	// ended is called when it has ended, with lxc-attach still stopped.
	ended func()
	procs func() ([]int, error) // of the guest

	quit chan struct{} // closed when there is no point in waiting any more

	traced []int // what this thread traces beside lxc-attach

	mu     sync.Mutex
	attach int // process; 0: none, or not any more
	pid    int // of the program; 0: none
	killed bool
}

// errNoExec says that lxc-attach has ended without starting a program.
var errNoExec = errors.New("lxc-attach started no program")

// outcome is how a program ended.
type outcome struct {
	status unix.WaitStatus
	ran    bool // false: it could not be started, and status is that of who tried
	ended  bool // there is a status
}

// run starts the program and waits for its end, or until quit is closed.
func (a *attached) run() (o outcome, err error) {
	attr := &syscall.ProcAttr{Dir: "/", Env: a.env, Sys: &syscall.SysProcAttr{Ptrace: true, Setsid: true, Pdeathsig: unix.SIGKILL}}
	for _, f := range a.files {
		attr.Files = append(attr.Files, f.Fd()) // which also makes it one that blocks
	}
	for range inherited() {
		attr.Files = append(attr.Files, ^uintptr(0)) // closed
	}
	pid, err := syscall.ForkExec(a.argv[0], a.argv, attr)
	closeFiles(a.files[:]...)
	if err != nil {
		return o, &os.PathError{Op: "start", Path: a.argv[0], Err: err}
	}
	a.note(pid, 0)
	defer func() {
		a.note(0, 0)
		a.traced = append(a.traced, pid)
		a.clear()
	}()
	program, err := a.untilClone(pid)
	if err != nil {
		return o, err
	}
	a.note(pid, program)
	if o, err = a.untilExec(pid, program); err != nil {
		return o, err
	}
	if !o.ended {
		if o.status, err = a.untilEnd(program); err != nil {
			return o, err
		}
	}
	a.note(0, 0)
	a.ended()
	return o, release(pid)
}

func (a *attached) note(attach, program int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.attach, a.pid = attach, program
	if a.killed && attach != 0 {
		killNumbers(attach, program)
	}
}

// killNumbers kills processes that nobody but their caller can bury.
func killNumbers(pids ...int) {
	for _, pid := range pids {
		if pid > 0 {
			_ = unix.Kill(pid, unix.SIGKILL) // it may be a zombie
		}
	}
}

// releaseTime is how long lxc-attach has to end after its program.
const releaseTime = 2 * time.Second

// release lets lxc-attach go on, so that it buries the program, and waits until it is
// about to end.
func release(attach int) error {
	fd, err := unix.PidfdOpen(attach, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	if err := unix.Kill(attach, unix.SIGCONT); err != nil {
		return os.NewSyscallError("kill", err)
	}
	_, err = ready(releaseTime, fd)
	return err
}

// ready waits until one of some descriptors can be read, or hung up.
func ready(most time.Duration, fds ...int) (bool, error) {
	list := make([]unix.PollFd, len(fds))
	for i, fd := range fds {
		list[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	ms := -1
	if most > 0 {
		ms = int(most.Milliseconds())
	}
	for {
		n, err := unix.Poll(list, ms)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return n > 0 && list[0].Revents != 0, os.NewSyscallError("poll", err)
	}
}

// clear kills and buries what is left of a start. What is frozen cannot die now, and
// does so when it is thawed, as its tracer is gone by then or it was killed before.
func (a *attached) clear() {
	killNumbers(a.traced...)
	until := time.Now().Add(releaseTime)
	for _, pid := range a.traced {
		for pause := traceFirst; time.Now().Before(until); pause = min(pause*2, traceLast) {
			var ws unix.WaitStatus
			got, err := unix.Wait4(pid, &ws, unix.WALL|unix.WNOHANG, nil)
			if err != nil && !errors.Is(err, unix.EINTR) || got == pid && !ws.Stopped() {
				break
			}
			time.Sleep(pause)
		}
	}
}

// untilEnd waits for the end of the program, which nobody but lxc-attach can bury.
func (a *attached) untilEnd(pid int) (unix.WaitStatus, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	done := make(chan struct{})
	var closing sync.WaitGroup
	closing.Go(func() {
		select {
		case <-a.quit:
		case <-done:
		}
		_ = w.Close() // which wakes who polls the other end
	})
	defer closing.Wait()
	defer close(done)
	ended, err := ready(0, fd, int(r.Fd()))
	if err != nil || !ended {
		return 0, errors.Join(err, errLeft)
	}
	return deathOf(pid)
}

// errLeft says that the end of a program was not waited for.
var errLeft = errors.New("the program may still be running")

// deathOf reads how a zombie ended: the last field of /proc/PID/stat (proc(5)).
func deathOf(pid int) (unix.WaitStatus, error) {
	s, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	if s.state != 'Z' && s.state != 'X' {
		return 0, fmt.Errorf("process %d has ended and is in state %c", pid, s.state)
	}
	return unix.WaitStatus(s.exit), nil
}

// killFor bounds the killing of a program and of what it has started.
const killFor = 3 * time.Second

// kill kills the program, what it has started as far as that can be seen, and
// lxc-attach; then it closes quit. It is done when the program is dead.
func (a *attached) kill(ctx context.Context) error {
	defer close(a.quit)
	a.mu.Lock()
	a.killed = true
	attach, program := a.attach, a.pid
	if program == 0 {
		killNumbers(attach)
	}
	a.mu.Unlock()
	if program == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, killFor)
	defer cancel()
	return a.killTree(ctx, attach, program)
}

// killTree stops what belongs to the program until no more of it is found, so that
// nothing gets away while it is looked for, and kills it.
func (a *attached) killTree(ctx context.Context, attach, program int) error {
	held := map[int]int{} // pidfds by process
	defer func() {
		for _, fd := range held {
			_ = unix.Close(fd) // of a process: nothing is written
		}
	}()
	hold := func(pid int) bool {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return false
		}
		held[pid] = fd
		_ = unix.PidfdSendSignal(fd, unix.SIGSTOP, nil, 0) // it may have ended
		return true
	}
	if !hold(program) {
		return nil
	}
	sessions := []int{attach, program}
	for found := true; found && ctx.Err() == nil; {
		pids, err := a.procs()
		if err != nil {
			return err
		}
		found = false
		for _, pid := range pids {
			s, err := readStat(pid)
			if _, known := held[pid]; known || err != nil {
				continue
			}
			if _, child := held[s.parent]; child || slices.Contains(sessions, s.session) || slices.Contains(sessions, s.group) {
				found = hold(pid) || found
			}
		}
	}
	for _, fd := range held {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // it may have ended
	}
	for pid, fd := range held {
		if ok, err := ready(max(time.Until(deadline(ctx)), time.Millisecond), fd); err != nil || !ok {
			return errors.Join(err, fmt.Errorf("process %d: %w", pid, errLeft))
		}
	}
	return nil
}

func deadline(ctx context.Context) time.Time {
	t, _ := ctx.Deadline()
	return t
}

// stopped says why a program was killed.
func stopped(ctx context.Context, left error) error {
	why := ctxerr.Of(ctx)
	if left != nil {
		return fmt.Errorf("%w: %w", why, left)
	}
	return fmt.Errorf("%w: the program was killed", why)
}

// errGuestEnded is what ends a program along with its guest.
var errGuestEnded = fmt.Errorf("%w: the guest went off while the program ran", provision.ErrState)

// initFD opens the guest's first process.
func initFD(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("%w: it has just gone off", provision.ErrState)
	}
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return os.NewFile(uintptr(fd), "process "+strconv.Itoa(pid)), nil
}
