//go:build linux

package lxc

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/guestforge/provision/internal/cgroup"
)

// limitScript writes the limits once more: the monitor of a guest that reboots itself
// sets those that it was started with, and some of them may have been changed, or
// lifted, since. Limits on a loop device are set by this alone.
func (b *Backend) limitScript(d *definition) (string, error) {
	l, err := b.withTransfers(d)
	if err != nil {
		return "", err
	}
	want, err := b.groups.Knobs(l)
	if err != nil {
		return "", err
	}
	if len(l.CPUs) == 0 {
		l.CPUs = b.host.cpus
	}
	all, err := b.groups.AllKnobs(l)
	if err != nil {
		return "", err
	}
	w := &limitWriter{b: b, d: d}
	if d.Root == RootImage && limitsTransfers(&d.Spec.Disks[0]) {
		w.WriteString("\tdevice=$(mountpoint -d \"$guest/" + dirRoot + "\")\n")
	}
	for _, k := range all {
		w.knob(k, slices.Contains(want, k))
	}
	w.WriteString(b.protectScript(d))
	if n := d.Spec.Limits.OpenFiles; n != 0 { // more than before takes CAP_SYS_RESOURCE
		fmt.Fprintf(w, "\tprlimit --pid \"$LXC_PID\" --nofile=%d:%d 2>/dev/null || :\n", n, n)
	}
	return w.String(), nil
}

// limitWriter writes shell commands.
type limitWriter struct {
	strings.Builder
	b *Backend
	d *definition
}

// knob writes one file of the guest's group. Where it only lifts a limit that there
// may have been, the guest starts also if that fails.
func (w *limitWriter) knob(k cgroup.Knob, wanted bool) {
	h, ok := w.b.groups.Find(k.Controller)
	if !ok {
		return
	}
	guest := filepath.Join(h.Dir, w.b.groupPath(w.d, groupGuest), k.File)
	inner := filepath.Join(h.Dir, w.b.groupPath(w.d, groupGuest, groupInner), k.File)
	value := "'" + k.Value + "'"
	if k.Controller == cgroup.IO {
		value = strings.Replace(value, "'0:0", "\"$device\"'", 1)
	}
	files := []string{guest}
	switch {
	case k.Version == 1 && k.Controller == cgroup.IO: // a limit there holds for one group and not for those below
		files = append(files, inner)
	case k.Version == 1 && k.Controller == cgroup.CPUSet:
		// Those of a group are within those of the one above at each step.
		w.try("'"+cgroup.FormatSet(w.b.host.cpus)+"'", guest)
		w.try(value, inner)
	case k.File == "memory.limit_in_bytes":
		// The sum with swap may have to be raised before, and need not be there.
		w.try("-1", strings.Replace(guest, "memory.limit", "memory.memsw.limit", 1))
	}
	for _, file := range files {
		if wanted {
			fmt.Fprintf(w, "\techo %s >%s\n", value, file)
		} else {
			w.try(value, file)
		}
	}
}

// try writes a value that need not be taken.
func (w *limitWriter) try(value, file string) {
	fmt.Fprintf(w, "\t{ echo %s >%s; } 2>/dev/null || :\n", value, file)
}

// protectScript gives the groups above as much guaranteed memory as those below them
// have together, as [cgroup.Group.Protect] does: a group has no more of it than the
// one above.
func (b *Backend) protectScript(d *definition) string {
	h, ok := b.groups.Find(cgroup.Memory)
	if !d.Spec.Memory.Guaranteed || !ok || h.Version == 1 || !b.groups.MemoryMin {
		return ""
	}
	above := filepath.Join(h.Dir, b.groupPath(d))
	return fmt.Sprintf(protectLines, above, filepath.Dir(above), filepath.Dir(filepath.Dir(above)))
}

// What others change meanwhile is looked at again.
const protectLines = `	for above in %s %s %s; do
		for try in 1 2 3 4 5 6 7 8 9 10; do
			sum=0
			for below in "$above"/*/memory.min; do
				read -r bytes 2>/dev/null <"$below" || continue
				sum=$((sum + bytes))
			done
			read -r bytes <"$above/memory.min"
			[ "$bytes" != "$sum" ] || break
			echo "$sum" >"$above/memory.min"
		done
	done
`
