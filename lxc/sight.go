//go:build linux

package lxc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// sight is what a watch knows of a container.
type sight struct {
	id      provision.ID
	state   provision.State
	reason  string
	monitor int // process, or one that outlives it
	files   [3]stamp
}

// stamp tells one content of a file from another: files are replaced here, and not
// written to.
type stamp struct {
	inode         uint64
	size, changed int64
}

func stampOf(path string) stamp {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return stamp{}
	}
	return stamp{st.Ino, st.Size, st.Ctim.Nano()}
}

// survey looks at all containers.
func (w *watch) survey(ctx context.Context) error {
	w.due = time.Now().Add(surveyEvery)
	names, err := w.b.names()
	if err != nil {
		return err
	}
	if w.on, err = w.b.sockets(); err != nil {
		return err
	}
	if w.groups, err = w.b.grouped(); err != nil {
		return err
	}
	defer func() { w.on, w.groups = nil, nil }()
	there := make(map[string]bool, len(names))
	for _, name := range names {
		if err := ctxerr.Of(ctx); err != nil {
			return err
		}
		there[name] = true
		w.compare(name)
	}
	for name := range w.known {
		if !there[name] {
			w.compare(name)
		}
	}
	return nil
}

// look looks at what may be a container.
func (w *watch) look(name string) {
	if nameRE.MatchString(name) {
		w.compare(name)
	}
}

// compare looks at one container, and tells what has changed.
func (w *watch) compare(name string) {
	was, had := w.known[name]
	now, ok := w.glance(name, was)
	if !had && !ok {
		if !w.expect(name) {
			return
		}
		if now, ok = w.glance(name, was); !ok { // it may have come before it was watched
			return
		}
	}
	if had && (!ok || was.id != now.id) {
		gone := was
		gone.state, gone.reason = provision.StateAbsent, ""
		w.tell(provision.EventDeleted, name, gone)
		delete(w.known, name)
		delete(w.byID, string(was.id))
		had = false
	}
	if !ok {
		w.follow(name, 0)
		return
	}
	switch {
	case !had:
		w.tell(provision.EventCreated, name, now)
	case was.state != now.state:
		w.tell(provision.EventState, name, now)
	case was.state == provision.StateRunning && was.monitor != now.monitor:
		off := now // in between
		off.state, off.reason = provision.StateStopped, ""
		w.tell(provision.EventState, name, off)
		w.tell(provision.EventState, name, now)
	}
	if had && was.files != now.files {
		w.tell(provision.EventChanged, name, now)
	}
	w.known[name], w.byID[string(now.id)] = now, name
	w.follow(name, now.monitor)
}

func (w *watch) tell(t provision.EventType, name string, s sight) {
	w.queue = append(w.queue, provision.Event{Type: t, Name: name, ID: s.id, State: s.state, Reason: s.reason, Time: time.Now()})
}

// glance looks at one container, and reads no more than has changed. It is not ok if
// there is none.
func (w *watch) glance(name string, was sight) (now sight, ok bool) {
	for i, file := range []string{fileConfig, fileDefinition, fileRecord} {
		now.files[i] = stampOf(w.b.at.file(name, file))
	}
	if now.files[0] == (stamp{}) {
		return sight{}, false
	}
	if now.id = was.id; was.files != now.files {
		now.id = foreignPrefix + provision.ID(name)
		d, err := w.b.load(name)
		switch {
		case err != nil:
			if was.id != "" {
				now.id = was.id
			}
			now.state, now.reason = provision.StateUnknown, err.Error()
			return now, true
		case d != nil && now.files[2] != (stamp{}):
			now.id = d.ID
		}
	}
	if _, foreign := foreignName(now.id); foreign {
		now.state, now.reason = w.foreignState(name)
		return now, true
	}
	if w.groups != nil && !w.groups[string(now.id)] {
		now.state = provision.StateStopped
		return now, true
	}
	l, err := w.b.lifeOf(&definition{ID: now.id})
	if err != nil {
		now.state, now.reason = provision.StateUnknown, err.Error()
		return now, true
	}
	now.state, now.reason, now.monitor = l.state, l.reason, max(l.monitor, l.left)
	return now, true
}

func (w *watch) foreignState(name string) (provision.State, string) {
	on := w.on
	if on == nil {
		var err error
		if on, err = w.b.sockets(); err != nil {
			return provision.StateUnknown, err.Error()
		}
	}
	if on[name] {
		return provision.StateRunning, ""
	}
	return provision.StateStopped, ""
}

// expect watches a directory in which a configuration may come, and says whether there
// is one.
func (w *watch) expect(name string) bool {
	wd, err := w.in.add(w.b.at.guest(name), comings)
	if err != nil {
		return false // no directory, or gone
	}
	w.bare[wd] = name // until there is one, or the directory goes
	return true
}

// follow waits for the end of a process, and for no other one of that container; 0 is
// none.
func (w *watch) follow(name string, pid int) {
	old, had := w.procs[name]
	if had && old.pid == pid {
		return
	}
	if had {
		_ = unix.Close(old.fd) // which takes it out of the epoll too
		delete(w.byFD, old.fd)
		delete(w.procs, name)
	}
	if pid == 0 {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		w.due = time.Now() // it has just ended
		return
	}
	if err == nil {
		err = w.await(fd)
	}
	if err != nil {
		w.b.opts.Logger.Warn("the end of a guest may be seen late", "guest", name, "error", err)
		return
	}
	w.procs[name], w.byFD[fd] = follower{pid, fd}, name
}

// sockets are the names of the containers of LXCPATH, of others too, whose monitor
// process listens.
func (b *Backend) sockets() (map[string]bool, error) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	return parseSockets(string(text), b.opts.LXCPath), nil
}

// grouped are the IDs of guests that have control groups: the others are off.
func (b *Backend) grouped() (map[string]bool, error) {
	dir, err := os.Open(filepath.Join(b.hierarchy(), GroupsOf(b.opts.LXCPath)))
	if missing(err) {
		return map[string]bool{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set, nil
}

// parseSockets reads unix(7)'s table of sockets: see lxc_make_abstract_socket_name in
// commands_utils.c of liblxc for their names.
func parseSockets(text, lxcPath string) map[string]bool {
	on := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		path := line[strings.LastIndexByte(line, ' ')+1:]
		rest, ours := strings.CutPrefix(path, "@"+lxcPath+"/")
		name, ok := strings.CutSuffix(rest, "/command")
		if ours && ok && !strings.Contains(name, "/") {
			on[name] = true
		}
	}
	return on
}

var _ provision.Watcher = (*Backend)(nil)
