package cgroup

import (
	"fmt"
	"strconv"
	"strings"
)

// AnyNumber stands for all majors or minors of a [Node].
const AnyNumber = -1

// Node is a device, or many, that a group may use.
type Node struct {
	Block        bool   // and not a character device
	Major, Minor int    // or AnyNumber
	Access       string // of the letters r, w and m (mknod)
}

// String writes it as both versions take it: "c 1:3 rwm".
func (n Node) String() string {
	kind := "c"
	if n.Block {
		kind = "b"
	}
	return fmt.Sprintf("%s %s:%s %s", kind, star(n.Major), star(n.Minor), n.Access)
}

func star(n int) string {
	if n == AnyNumber {
		return "*"
	}
	return strconv.Itoa(n)
}

func (n Node) check() error {
	if n.Major < AnyNumber || n.Minor < AnyNumber {
		return fmt.Errorf("device %s: numbers begin at 0", n)
	}
	if n.Access == "" || strings.Trim(n.Access, "rwm") != "" || len(n.Access) > 3 {
		return fmt.Errorf("device %s: write access as letters of rwm", n)
	}
	return nil
}

// DeviceKnobs returns the settings by which liblxc allows these devices and no
// others. Only a guest that is privileged needs them: others cannot make nodes, nor
// open those that they were not given. In version 2 there is no such file, and
// liblxc makes a BPF program of them: they cannot be given to [Group.Set].
func (l *Layout) DeviceKnobs(allowed []Node) ([]Knob, error) {
	version := 1
	if l.version(Devices) != 1 {
		if _, ok := l.unified(); !ok {
			return nil, fmt.Errorf("%s: %w", Devices, ErrNoController)
		}
		version = 2
	}
	list := []Knob{{Devices, version, "devices.deny", "a"}}
	for _, n := range allowed {
		if err := n.check(); err != nil {
			return nil, err
		}
		list = append(list, Knob{Devices, version, "devices.allow", n.String()})
	}
	return list, nil
}
