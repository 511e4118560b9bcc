package provision

import (
	"fmt"
	"strings"
)

// resizable says whether Resize changes a field.
func resizable(path string) bool {
	switch field := indexRE.ReplaceAllString(path, ""); field {
	case "cpu.count", "memory.size", "disks.size":
		return true
	case "memory.hugePages":
		return false
	default:
		return isLimit(field) || strings.HasPrefix(field, "needs.")
	}
}

// resized returns a Spec with the sizes and limits of another one.
func resized(have, want *Spec) Spec {
	s := have.Copy()
	full := want.Copy()
	s.CPU, s.Limits, s.Needs = full.CPU, full.Limits, full.Needs
	s.Memory = Memory{Size: full.Memory.Size, Swap: full.Memory.Swap, Guaranteed: full.Memory.Guaranteed, HugePages: have.Memory.HugePages}
	for i := range min(len(s.Disks), len(full.Disks)) {
		s.Disks[i] = full.Disks[i]
	}
	for i := range min(len(s.NICs), len(full.NICs)) {
		s.NICs[i].Rate = full.NICs[i].Rate
	}
	return s
}

// strays returns every wish of the caller that is no affair of Resize.
func (r *resizing) strays(full *Spec) []error {
	var errs []error
	if have, want := len(r.old.Spec.Disks), len(full.Disks); have != want {
		errs = append(errs, &FieldError{Path: "disks", Value: fmt.Sprint(want),
			Problem: fmt.Sprintf("disks, and the guest has %d: Resize neither adds nor removes any", have)})
	}
	for _, c := range differences(r.old, &r.old.Spec, full) {
		if resizable(c.Path) {
			continue
		}
		e := &FieldError{Path: c.Path, Value: clip(c.Want), Problem: fmt.Sprintf("differs from what the guest has (%s), and is no size or limit: %s", orNone(c.Have), otherVerb(c.Path))}
		if c.Want == hidden {
			e.Value = ""
		}
		errs = append(errs, e)
	}
	return errs
}

// otherVerb says what changes a field that Resize does not.
func otherVerb(path string) string {
	switch {
	case strings.HasPrefix(path, "labels."):
		return "SetLabels changes it"
	case path == "autostart":
		return "SetAutostart changes it"
	}
	return "Resize does not change it"
}

// hopeless returns every change that this guest cannot take.
func (r *resizing) hopeless(full *Spec) []error {
	var errs []error
	for _, c := range r.plan.Changes {
		if c.Impact == ImpactRecreate || c.Impact == ImpactImpossible {
			errs = append(errs, &FieldError{Path: c.Path, Value: clip(c.Want), Problem: "cannot be had by a resize: " + because(c.Impact.words(), c.Reason)})
		}
	}
	for i := range min(len(full.Disks), len(r.old.Spec.Disks)) {
		if err := r.disk(i, full.Disks[i].Size, r.old.Spec.Disks[i].Size); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// disk refuses what a plan cannot see, as it knows only what was asked for: that a
// root disk of the image's size is larger than is wanted now.
func (r *resizing) disk(i int, want, asked Bytes) error {
	have, found := r.st.disk(i)
	at := fmt.Sprintf("disks[%d].size", i)
	switch {
	case want == asked:
	case want == 0:
		return &FieldError{Path: at, Problem: fmt.Sprintf("is left out, and the disk was made with %s: it cannot go back to the size of the image", asked)}
	case !found && len(r.st.Disks) > 0:
		return &FieldError{Path: at, Value: want.String(), Problem: "cannot be had: " + diskGone}
	case asked == 0 && have.Size > want && !roundedUp(want, have.Size):
		return &FieldError{Path: at, Value: want.String(), Problem: fmt.Sprintf("is less than the disk has (%s), and a disk is never made smaller", have.Size)}
	}
	return nil
}

// early returns what a guest that is on cannot take now.
func (r *resizing) early() []error {
	if !r.st.State.Live() || r.opts.AtRestart {
		return nil
	}
	var errs []error
	for _, c := range r.plan.Changes {
		if c.Impact == ImpactRestart {
			errs = append(errs, fmt.Errorf("%w: the guest is %s, and %s (allow a change at restart, or stop it before)",
				ErrState, r.st.State, because(c.Path+" takes effect with its next start", c.Reason)))
		}
	}
	return errs
}

// keepGrown returns the old Spec with the sizes of disks that are larger by now, and
// says which.
func keepGrown(old *Spec, before, now *Status) (Spec, []error) {
	s := old.Copy()
	var errs []error
	for i := range s.Disks {
		was, _ := before.disk(i)
		if d, found := now.disk(i); found && d.Size > was.Size {
			if s.Disks[i].Size != 0 { // else it was not asked to have a certain size
				s.Disks[i].Size = d.Size
			}
			errs = append(errs, fmt.Errorf("disks[%d] has grown to %s and stays so", i, d.Size))
		}
	}
	return s, errs
}
