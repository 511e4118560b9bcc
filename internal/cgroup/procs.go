package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Procs returns the processes of the group and of all groups below it, in any
// hierarchy, by number and sorted. A group that does not exist has none.
func (g *Group) Procs() ([]int, error) {
	var list []int
	for _, dir := range g.dirs() {
		err := descend(dir, func(d *os.Root) error {
			pids, err := procs(d)
			list = append(list, pids...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("processes of control group %s: %w", g.path, err)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// procs reads the processes of one group. Those that this process cannot see, for
// they are in another process namespace, are 0 and left out.
func procs(d *os.Root) ([]int, error) {
	text, err := d.ReadFile("cgroup.procs")
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return nil, nil // a "threaded" group: they are listed above it
	}
	if err != nil {
		return nil, ignoreGone(err)
	}
	return parseProcs(string(text))
}

func parseProcs(text string) ([]int, error) {
	var list []int
	for line := range strings.Lines(text) {
		pid, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
		if err != nil || pid < 0 {
			return nil, fmt.Errorf("cgroup.procs: %q is not the number of a process", clip(line))
		}
		if pid > 0 {
			list = append(list, pid)
		}
	}
	return list, nil
}

// Add puts a process into the group, in all hierarchies.
func (g *Group) Add(pid int) error {
	for _, dir := range g.dirs() {
		if err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("process %d to control group %s: %w", pid, g.path, err)
		}
	}
	return nil
}
