//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// surveyEvery is how often all containers are looked at for what nothing tells of.
const surveyEvery = 3 * time.Second

// errClosed ends what waits when the Backend is closed.
var errClosed = fmt.Errorf("%w: the backend is closed", provision.ErrUnavailable)

// Watch implements [provision.Watcher]. Guests of this library are told of at once,
// whoever starts, stops, makes or removes them: their hook, the directory and the end
// of their monitor processes tell. What others freeze, configure by hand or run of
// their own is seen within three seconds; containers of others are told as running or
// stopped, and not as paused. What came and went before it was looked at is not told.
//
// All is done on the goroutine of the caller. The kernel keeps what happens
// meanwhile; where that is too much, one EventLost comes before what has changed.
func (b *Backend) Watch(ctx context.Context) iter.Seq2[provision.Event, error] {
	return func(yield func(provision.Event, error) bool) {
		w, err := b.newWatch()
		if err != nil {
			yield(provision.Event{}, err)
			return
		}
		defer w.close()
		defer context.AfterFunc(ctx, w.interrupt)()
		defer context.AfterFunc(b.ended, w.interrupt)()
		if err := w.run(ctx, func(e provision.Event) bool { return yield(e, nil) }); err != nil {
			yield(provision.Event{}, err)
		}
	}
}

// watch is one call of Watch.
type watch struct {
	b    *Backend
	in   *inotify
	poll int // an epoll of all below
	due  time.Time

	mu   sync.Mutex // of wake, which others write to
	wake int        // an eventfd; -1: closed

	top, events int                 // watches of LXCPATH, and of the files of events
	bare        map[int]string      // watches of directories that have no configuration yet
	on          map[string]bool     // whose monitors listen, during a survey
	groups      map[string]bool     // and what has control groups
	known       map[string]sight    // containers, by name
	byID        map[string]string   // their names
	procs       map[string]follower // their monitor processes
	byFD        map[int]string

	queue []provision.Event
}

// follower is a process that is waited for.
type follower struct{ pid, fd int }

const (
	comings = unix.IN_CREATE | unix.IN_MOVED_TO
	goings  = unix.IN_DELETE | unix.IN_MOVED_FROM
)

func (b *Backend) newWatch() (*watch, error) {
	w := &watch{b: b, poll: -1, wake: -1, bare: map[int]string{}, known: map[string]sight{}, byID: map[string]string{},
		procs: map[string]follower{}, byFD: map[int]string{}}
	if err := w.open(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// open begins to watch. What it has opened when it fails is left to close.
func (w *watch) open() (err error) {
	if w.in, err = newInotify(); err != nil {
		return err
	}
	if w.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err := errors.Join(w.await(w.in.fd), w.await(w.wake)); err != nil {
		return err
	}
	if w.events, err = w.in.add(w.b.at.events(), unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO); err != nil {
		return err
	}
	w.top, err = w.in.add(w.b.opts.LXCPath, comings|goings|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF)
	return err
}

// await adds a descriptor to those that end a wait.
func (w *watch) await(fd int) error {
	err := unix.EpollCtl(w.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

// interrupt ends a wait. It may be called by others, also after close.
func (w *watch) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wake >= 0 {
		_, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // full: it is awake
	}
}

func (w *watch) close() {
	for name := range w.procs {
		w.follow(name, 0)
	}
	if w.in != nil {
		_ = unix.Close(w.in.fd)
	}
	if w.poll >= 0 {
		_ = unix.Close(w.poll)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wake >= 0 {
		_ = unix.Close(w.wake)
		w.wake = -1
	}
}

// run yields events until it is told to stop, or cannot go on.
func (w *watch) run(ctx context.Context, yield func(provision.Event) bool) error {
	if err := w.survey(ctx); err != nil {
		return err
	}
	w.queue = []provision.Event{{Type: provision.EventReady, Time: time.Now()}}
	for {
		for _, e := range w.queue {
			if !yield(e) {
				return nil
			}
		}
		w.queue = w.queue[:0]
		if err := ctxerr.Of(ctx); err != nil {
			return err
		}
		if w.b.ended.Err() != nil {
			return errClosed
		}
		if err := w.step(ctx); err != nil {
			return err
		}
	}
}

// step waits for something to happen, and finds out what it is.
func (w *watch) step(ctx context.Context) error {
	var ready [64]unix.EpollEvent
	left := max(time.Until(w.due), 0)
	n, err := unix.EpollWait(w.poll, ready[:], int(left/time.Millisecond)+1)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("epoll_wait", err)
	}
	for _, e := range ready[:n] {
		switch fd := int(e.Fd); fd {
		case w.wake: // the end, which is seen elsewhere
		case w.in.fd:
			if err := w.notes(); err != nil {
				return err
			}
		default:
			if name, ok := w.byFD[fd]; ok {
				w.follow(name, 0)
				w.look(name)
			}
		}
	}
	if time.Now().Before(w.due) {
		return nil
	}
	if err := w.survey(ctx); err != nil && ctx.Err() == nil {
		w.b.opts.Logger.WarnContext(ctx, "containers could not be looked at to find changes", "error", err)
	}
	return nil
}

// notes handles what inotify tells.
func (w *watch) notes() error {
	list, err := w.in.read()
	if err != nil {
		return err
	}
	for _, n := range list {
		switch {
		case n.mask&unix.IN_Q_OVERFLOW != 0:
			w.queue = append(w.queue, provision.Event{Type: provision.EventLost, Count: 1, Time: time.Now()})
			w.due = time.Now()
		case n.mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_UNMOUNT) != 0 && n.dir == w.top:
			return fmt.Errorf("%w: the directory %s was removed, renamed or unmounted", provision.ErrUnavailable, w.b.opts.LXCPath)
		case n.dir == w.events:
			if name, ok := w.byID[n.name]; ok {
				w.look(name)
			}
		case n.dir == w.top:
			w.look(n.name)
		case n.mask&unix.IN_IGNORED != 0:
			delete(w.bare, n.dir)
		default:
			name := w.bare[n.dir]
			w.look(name)
			if _, ok := w.known[name]; ok {
				w.in.remove(n.dir)
			}
		}
	}
	return nil
}
