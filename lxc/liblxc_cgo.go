//go:build linux && cgo

package lxc

import (
	"errors"
	"fmt"

	golxc "github.com/lxc/go-lxc"
)

// liblxc is the library that the program is linked with.
type liblxc struct{}

func newLibrary() (library, error) { return liblxc{}, nil }

func (liblxc) version() string { return golxc.Version() }

// with runs one call on a handle of its own: a handle has one lock for all of its
// methods. liblxc writes its log to memory.
func (liblxc) with(op, name, path string, f func(c *golxc.Container) error) (err error) {
	c, err := golxc.NewContainer(name, path)
	if err != nil {
		return &Error{Op: op, Err: err}
	}
	defer func() { err = errors.Join(err, c.Release()) }()
	log, err := memoryFile()
	if err != nil {
		return err
	}
	defer log.Close()
	file := fmt.Sprintf("/proc/self/fd/%d", log.Fd())
	if err := errors.Join(c.SetLogLevel(golxc.ERROR), c.SetLogFile(file)); err != nil {
		return &Error{Op: op, Err: err}
	}
	if err := f(c); err != nil {
		return &Error{Op: op, Cause: causeIn(log), Err: err}
	}
	return nil
}

func (l liblxc) check(name, path, file string) error {
	return l.with("read the configuration", name, path, func(c *golxc.Container) error {
		c.ClearConfig()
		return c.LoadConfigFile(file)
	})
}

func (l liblxc) state(name, path string) (state string, err error) {
	err = l.with("ask for the state", name, path, func(c *golxc.Container) error {
		state = c.State().String()
		return nil
	})
	return state, err
}

func (l liblxc) initPID(name, path string) (pid int, err error) {
	err = l.with("ask for the first process", name, path, func(c *golxc.Container) error {
		pid = c.InitPid()
		return nil
	})
	return pid, err
}

func (l liblxc) freeze(name, path string) error {
	return l.with("freeze", name, path, (*golxc.Container).Freeze)
}

func (l liblxc) unfreeze(name, path string) error {
	return l.with("thaw", name, path, (*golxc.Container).Unfreeze)
}

func (l liblxc) halt(name, path string) error {
	return l.with("shut down", name, path, func(c *golxc.Container) error { return c.Shutdown(0) })
}

func (l liblxc) kill(name, path string) error {
	return l.with("stop", name, path, (*golxc.Container).Stop)
}
