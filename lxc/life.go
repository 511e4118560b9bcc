//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
)

// life is what the kernel says of a guest: it cannot hang, as liblxc can, which asks
// the guest's monitor process.
type life struct {
	state   provision.State
	reason  string
	monitor int // process; 0: none
	init    int // the guest's first process; 0: none
	left    int // one of those that outlive a monitor; 0: none
}

// lifeOf looks at the guest's control groups, whose paths are ours: liblxc puts the
// monitor process into one of its own, and moves it to another one when the guest
// ends.
func (b *Backend) lifeOf(d *definition) (life, error) {
	l := life{state: provision.StateStopped}
	monitors, err := b.members(d, groupMonitor)
	if err != nil {
		return l, err
	}
	for _, pid := range monitors {
		init, err := firstProcess(pid)
		if err != nil {
			return l, err
		}
		if init != 0 {
			l.monitor, l.init = pid, init
			break
		}
		l.monitor = pid
	}
	switch {
	case l.init != 0:
		l.state, err = b.runningOrPaused(d)
		return l, err
	case l.monitor != 0:
		l.state = provision.StateStarting
		return l, nil
	}
	ending, err := b.members(d, groupPivot, "lxc.pivot")
	if len(ending) > 0 {
		l.state, l.monitor = provision.StateStopping, ending[0]
		return l, err
	}
	g, err := b.group(d, groupGuest)
	if err != nil {
		return l, err
	}
	left, err := g.Procs() // of groups that the guest made, too
	if len(left) > 0 {
		l.state, l.left = provision.StateStopping, left[0]
		l.reason = "its monitor process is gone, and processes of the guest are left"
	}
	return l, err
}

func (b *Backend) runningOrPaused(d *definition) (provision.State, error) {
	// The inner group is frozen too where the outer one is.
	g, err := b.group(d, groupGuest, groupInner)
	if err != nil {
		return provision.StateUnknown, err
	}
	s, err := g.State()
	switch {
	case gone(err): // it ended meanwhile
		return provision.StateStopping, nil
	case err != nil:
		return provision.StateUnknown, err
	case s == cgroup.Frozen:
		return provision.StatePaused, nil
	}
	return provision.StateRunning, nil
}

// hierarchy is the tree of groups that members are looked for in: liblxc puts a
// process into all of them.
func (b *Backend) hierarchy() string {
	if h, ok := b.groups.Find(cgroup.Freezer); ok && h.Version == 1 {
		return h.Dir
	}
	for _, h := range b.groups.Hierarchies {
		if h.Version == 2 {
			return h.Dir
		}
	}
	return ""
}

// members lists the processes of one group, without those below it.
func (b *Backend) members(d *definition, part ...string) ([]int, error) {
	text, err := os.ReadFile(filepath.Join(b.hierarchy(), b.groupPath(d, part...), "cgroup.procs"))
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return numbers(string(text))
}

// firstProcess returns the first process of the guest that a monitor has started:
// its child in a process namespace of its own. Hooks are children too.
func firstProcess(monitor int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", monitor, monitor))
	if gone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	children, err := numbers(string(text))
	if err != nil {
		return 0, err
	}
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", monitor))
	if gone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, pid := range children {
		ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
		if err == nil && ns != own {
			return pid, nil
		}
	}
	return 0, nil
}

func numbers(text string) ([]int, error) {
	var list []int
	for _, word := range strings.Fields(text) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("%q is no process", word)
		}
		if n > 0 {
			list = append(list, n)
		}
	}
	return list, nil
}

// gone says that a process or a control group, and so its files, is not there, or has
// gone between the opening of one and a read: then the kernel says ESRCH of a process
// and ENODEV of a group.
func gone(err error) bool {
	return missing(err) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV)
}

// monitorState asks liblxc, which asks the monitor process: for the state of a container
// that is not ours, and for whether a monitor answers at all.
func (b *Backend) monitorState(ctx context.Context, name string) (provision.State, error) {
	var text string
	err := b.ask(ctx, name, func(lib library, name, path string) (err error) {
		text, err = lib.state(name, path)
		return err
	})
	if err != nil {
		return provision.StateUnknown, err
	}
	if s, ok := states[text]; ok {
		return s, nil
	}
	return provision.StateUnknown, nil
}

var states = map[string]provision.State{
	stateStopped:  provision.StateStopped,
	stateStarting: provision.StateStarting,
	stateRunning:  provision.StateRunning,
	stateStopping: provision.StateStopping,
	stateAborting: provision.StateStopping,
	stateFreezing: provision.StateRunning,
	stateFrozen:   provision.StatePaused,
	stateThawed:   provision.StateRunning,
}
