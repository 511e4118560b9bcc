package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/guestforge/provision"
)

// leftovers looks for what guests that are gone have left: nothing uses it, and some
// of it is in the way.
func (e *examination) leftovers(context.Context) []provision.Finding {
	var list []provision.Finding
	for _, l := range []struct {
		check, what, remedy string
		find                func() ([]string, error)
	}{
		{"leftover-cgroups", "control groups without a guest", "rmdir them, the innermost first", e.staleGroups},
		{"leftover-mounts", "mounts without a guest", "umount them", e.staleMounts},
		{"leftover-loops", "loop devices without a guest", "losetup -d them", e.staleLoops},
		{"leftover-trials", "directories of an earlier check that was killed", "remove them", e.staleTrials},
	} {
		switch found, err := l.find(); {
		case err != nil && !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUntried):
			list = append(list, unknown(l.check, cautions, "there are no "+l.what, oneLine(err.Error()), "run check as root"))
		case len(found) > 0:
			list = append(list, lacks(l.check, cautions, "there are "+l.what, some(found), l.remedy))
		default:
			list = append(list, has(l.check, "there are no "+l.what, ""))
		}
	}
	return list
}

// staleGroups names groups of guests that are not recorded, and groups that liblxc
// has made of itself in which nothing runs.
func (e *examination) staleGroups() ([]string, error) {
	found := map[string]bool{}
	points := slices.Collect(maps.Values(e.groups.v1))
	if e.groups.unified != "" {
		points = append(points, e.groups.unified)
	}
	if points == nil {
		return nil, fmt.Errorf("%w: control groups are not mounted", errUntried)
	}
	for _, point := range points {
		dir := inside(point)
		own, err := fs.ReadDir(e.files, dir+"/"+GroupsOf(e.path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, d := range own {
			if d.IsDir() && !e.guests[d.Name()] {
				found[GroupsOf(e.path)+"/"+d.Name()] = true
			}
		}
		all, err := fs.ReadDir(e.files, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, d := range all {
			name := d.Name()
			theirs := strings.HasPrefix(name, "lxc.payload.") || strings.HasPrefix(name, "lxc.monitor.")
			if d.IsDir() && theirs && e.idle(dir+"/"+name) {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// idle says whether a group and those in it have no processes. What cannot be looked
// at is not idle.
func (e *examination) idle(dir string) bool {
	const enough = 1000 // groups; a guest may have made as many as it likes
	seen, busy := 0, false
	err := fs.WalkDir(e.files, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		if seen++; seen > enough || len(e.raw(name+"/cgroup.procs")) > 0 || !e.there(name+"/cgroup.procs") {
			busy = true
			return fs.SkipAll
		}
		return nil
	})
	return err == nil && !busy
}

// staleMounts names mounts in directories below LXCPATH that are no guest's.
func (e *examination) staleMounts() ([]string, error) {
	if e.mounts == nil {
		return nil, fmt.Errorf("%w: /proc/self/mountinfo cannot be read", errUntried)
	}
	var found []string
	for _, m := range e.mounts {
		if e.stray(m.Point) {
			found = append(found, m.Point)
		}
	}
	return found, nil
}

// stray says whether a path is in a directory of a guest that is not there. What starts
// with a point is ours, and not of one guest.
func (e *examination) stray(file string) bool {
	if !below(file, e.path) {
		return false
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(file, strings.TrimSuffix(e.path, "/")+"/"), "/")
	return rest != "" && !strings.HasPrefix(name, ".") && !e.names[name]
}

// staleLoops names loop devices over files of guests that are gone.
func (e *examination) staleLoops() ([]string, error) {
	if !e.there("sys/block") {
		return nil, fmt.Errorf("%w: there is no /sys/block", errUntried)
	}
	var found []string
	files, err := fs.Glob(e.files, "sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		file, gone := strings.CutSuffix(e.text(f), " (deleted)")
		if e.stray(file) || gone && below(file, e.path) {
			found = append(found, "/dev/"+path.Base(path.Dir(path.Dir(f)))+" ("+file+")")
		}
	}
	return found, nil
}

// trialPrefix starts the names of directories of trials below LXCPATH.
const trialPrefix = ".provision-check-"

// staleTrials names those that are older than any check that is still under way.
func (e *examination) staleTrials() ([]string, error) {
	entries, err := fs.ReadDir(e.files, inside(e.path))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, d := range entries {
		info, err := d.Info()
		if strings.HasPrefix(d.Name(), trialPrefix) && err == nil && time.Since(info.ModTime()) > 10*examinationTime {
			found = append(found, path.Join(e.path, d.Name()))
		}
	}
	return found, nil
}

// below says whether a path is in a directory, and not the directory itself.
func below(path, dir string) bool {
	dir = strings.TrimSuffix(dir, "/")
	return len(path) > len(dir)+1 && strings.HasPrefix(path, dir+"/")
}
