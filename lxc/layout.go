//go:build linux

package lxc

import (
	"path/filepath"

	"github.com/guestforge/provision"
)

// layout knows where everything is below LXCPath.
type layout string

// Files of a guest's directory.
const (
	fileConfig     = "config"     // liblxc's
	fileDefinition = "guest.json" // what it is made from
	fileRecord     = "record"     // Host's
	fileHook       = "hook"       // what liblxc runs at each start
	fileHookLog    = "hook.log"   // what that said of its failure
	fileStartLog   = "start.log"  // liblxc's log of the last start
	fileConsole    = "console.log"
	fileSuspended  = "suspended" // keeps everybody from starting it
	dirRoot        = "rootfs"
)

func (l layout) guest(name string) string       { return filepath.Join(string(l), name) }
func (l layout) file(name, file string) string  { return filepath.Join(string(l), name, file) }
func (l layout) own() string                    { return filepath.Join(string(l), ".provision") }
func (l layout) images() string                 { return filepath.Join(l.own(), "images") }
func (l layout) making() string                 { return filepath.Join(l.own(), "new") }
func (l layout) made(id provision.ID) string    { return filepath.Join(l.making(), string(id)) }
func (l layout) removing() string               { return filepath.Join(l.own(), "removed") }
func (l layout) removed(id provision.ID) string { return filepath.Join(l.removing(), string(id)) }
func (l layout) events() string                 { return filepath.Join(l.own(), "events") }
