package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Impact says what it takes to put a change into effect.
type Impact string

// Values of [Impact], the least first.
const (
	ImpactNone       Impact = "none"         // the guest does not notice
	ImpactLive       Impact = "live"         // while it runs, without interruption
	ImpactRestart    Impact = "next restart" // when it is started the next time
	ImpactRecreate   Impact = "recreate"     // only by making the guest anew
	ImpactImpossible Impact = "impossible"   // not here; Reason says why
)

// words is the impact as a plan shows it, where "none" would look like a value.
func (i Impact) words() string {
	if i == ImpactNone {
		return "no interruption"
	}
	return string(i)
}

// Action is what Create would do for a [Plan].
type Action string

// Values of [Action].
const (
	ActionCreate Action = "create" // make the guest
	ActionFinish Action = "finish" // replace what an interrupted create left
	ActionNone   Action = "none"   // the guest is there and as asked for
	ActionChange Action = "change" // the guest is there and differs
)

// Plan says what [Host.Create] would make, or how an existing guest differs
// from the Spec. It is plain data, and the same for the same question.
type Plan struct {
	Guest   string   `json:"guest"`
	Kind    string   `json:"kind"`
	Action  Action   `json:"action"`
	ID      ID       `json:"id,omitempty"` // of the existing guest
	Changes []Change `json:"changes,omitempty"`
	// Limits as they would hold for a new guest, or hold for this one.
	Limits []Limit `json:"limits,omitempty"`
}

// Change is one field of a [Spec] that a plan sets or, below "definition/", one
// thing that differs in the hypervisor's definition of the guest.
type Change struct {
	Path   string `json:"path"` // "memory.size", "nics[0].bridge", "definition/…"
	Have   string `json:"have,omitempty"`
	Want   string `json:"want,omitempty"`
	Impact Impact `json:"impact,omitempty"` // empty for a new guest
	Reason string `json:"reason,omitempty"`
}

// hidden stands for secrets in plans.
const hidden = "(secret)"

// Plan is a dry run of [Host.Create] that changes nothing and takes no locks.
// What Create would refuse it refuses with the same error, except that a guest
// which exists already is compared with the Spec: what differs, in what the
// hypervisor has now, and what each change would take. Behind these stands, below
// "definition", what differs in the hypervisor's own definition of the guest from
// that of a new one, and has no field in a Spec.
func (h *Host) Plan(ctx context.Context, s Spec) (*Plan, error) {
	p, err := h.plan(ctx, s.Copy())
	if err != nil {
		return nil, h.wrap("plan", s.Name, err)
	}
	return p, nil
}

func (h *Host) plan(ctx context.Context, s Spec) (*Plan, error) {
	if err := h.accept(ctx, &s); err != nil {
		return nil, err
	}
	st, rec, err := h.planned(ctx, &s)
	if err == nil && rec.Phase == complete {
		p := h.compare(st, rec, &s)
		return p, h.drift(ctx, p, st, rec, &s)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	full := s.withDefaults("")
	limits, err := h.preflight(ctx, &full)
	if err != nil {
		return nil, err
	}
	p := &Plan{Guest: s.Name, Kind: h.info.Kind, Action: ActionCreate, Limits: limits}
	if rec != nil {
		p.Action, p.ID = ActionFinish, st.ID
	}
	for _, f := range flatten(&full) {
		p.Changes = append(p.Changes, Change{Path: f.path, Want: f.value})
	}
	return p, nil
}

// planned returns the guest that a plan is about.
func (h *Host) planned(ctx context.Context, s *Spec) (Status, *record, error) {
	st, rec, err := h.inspect(ctx, Ref{Name: s.Name})
	switch {
	case errors.Is(err, ErrNotFound) && s.Key != "":
		// The key may belong to a guest of another name.
		return h.existing(ctx, s)
	case err != nil:
		return st, nil, err
	case rec == nil:
		return st, nil, fmt.Errorf("%w: a guest that is not managed has this name", ErrExists)
	case rec.Phase != complete:
		return h.existing(ctx, s)
	}
	return st, rec, nil
}

func (h *Host) compare(st Status, rec *record, s *Spec) *Plan {
	have, want := observed(st, rec), s.withDefaults(rec.ID)
	p := &Plan{Guest: s.Name, Kind: h.info.Kind, Action: ActionNone, ID: rec.ID, Limits: st.Limits}
	p.Changes = differences(rec, &have, &want)
	for i := range p.Changes {
		h.judge(st, &p.Changes[i])
		p.Action = ActionChange
	}
	return p
}

// differences lists the fields in which a Spec differs from what a guest has, in
// order. Secrets are compared with those of its record.
func differences(rec *record, have, want *Spec) []Change {
	var list []Change
	old := map[string]string{}
	for _, f := range flatten(have) {
		old[f.path] = f.value
	}
	secrets := secretDigests(rec.ID, want)
	for _, f := range flatten(want) {
		was, known := old[f.path]
		delete(old, f.path)
		if _, secret := secrets[f.path]; secret {
			if was, known = "", false; rec.Secrets[f.path] != "" {
				was, known = hidden, secrets[f.path] == rec.Secrets[f.path]
			}
		}
		if !known || was != f.value {
			list = append(list, Change{Path: f.path, Have: was, Want: f.value})
		}
	}
	for path, was := range old {
		list = append(list, Change{Path: path, Have: was})
	}
	for path := range rec.Secrets {
		if _, still := secrets[path]; !still {
			list = append(list, Change{Path: path, Have: hidden})
		}
	}
	slices.SortFunc(list, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// drift adds to a plan what differs in the hypervisor's definition of the guest
// and is no field of a Spec.
func (h *Host) drift(ctx context.Context, p *Plan, st Status, rec *record, s *Spec) error {
	d, ok := h.backend.(Drifter)
	if !ok {
		return nil
	}
	have := observed(st, rec)
	have.Native = s.Native // the record does not keep it
	return h.call(ctx, Call{Op: "drift", Guest: s.Name, ID: rec.ID}, func(ctx context.Context) error {
		list, err := d.Drift(ctx, rec.ID, &have)
		if err != nil {
			return err
		}
		for _, c := range list {
			c.Path = "definition/" + c.Path
			p.Changes = append(p.Changes, c)
			p.Action = ActionChange
		}
		return nil
	})
}

// observed is the Spec of a guest as it is now: what was asked for, and over it
// what the hypervisor has. Values that the hypervisor does not tell are zero.
func observed(st Status, rec *record) Spec {
	s := rec.Spec.Copy()
	if st.CPUs != 0 {
		s.CPU.Count = st.CPUs
	}
	if st.Memory != 0 {
		s.Memory.Size = st.Memory
	}
	for i := range s.Disks {
		d, found := st.disk(i)
		switch want := s.Disks[i].Size; {
		case !found && i > 0 && len(st.Disks) > 0:
			s.Disks[i] = Disk{} // taken away by other means
		case want != 0 && d.Size != 0 && !roundedUp(want, d.Size):
			// A root disk of the image's size was not asked to have a certain one.
			s.Disks[i].Size = d.Size
		}
	}
	observeNICs(s.NICs, st.NICs)
	for _, l := range st.Limits {
		if l.differs() {
			setLimit(&s, l.Path, l.Have)
		}
	}
	s.Autostart = st.Autostart
	if rec.Suspended != nil {
		s.Autostart = rec.Suspended.Autostart
	}
	return s
}

// judge adds the impact of a change: the rules that are the same on every
// backend are here, the others are asked for.
func (h *Host) judge(st Status, c *Change) {
	field, _, _ := strings.Cut(c.Path, ".")
	field, _, _ = strings.Cut(field, "[")
	switch {
	case field == "labels" || field == "needs" || c.Path == "autostart":
		c.Impact = ImpactNone
	case c.Path == "key":
		c.Impact, c.Reason = ImpactImpossible, "a guest keeps the key that it was made with"
	case c.Path == "image":
		c.Impact, c.Reason = ImpactRecreate, "the root disk was made from the image"
	case slices.Contains([]string{"hostname", "dns", "access", "userData"}, field) || strings.HasSuffix(c.Path, ".addresses") || strings.HasSuffix(c.Path, ".gateways"):
		c.Impact, c.Reason = ImpactRecreate, "it is handed to the guest at its first boot"
	case field == "disks" && shrinks(c):
		c.Impact, c.Reason = ImpactImpossible, "a disk is never made smaller, because that destroys what is on it"
	default:
		c.Impact = ImpactRestart
		if j, ok := h.backend.(ImpactJudge); ok {
			c.Impact, c.Reason = j.Impact(st, *c)
		}
	}
}

// shrinks reports whether a disk would become smaller or vanish.
func shrinks(c *Change) bool {
	if !strings.HasSuffix(c.Path, ".size") || c.Have == "" {
		return false
	}
	have, err := ParseBytes(c.Have)
	want, err2 := ParseBytes(c.Want)
	return err == nil && (err2 != nil && !strings.HasPrefix(c.Path, "disks[0]") || err2 == nil && want < have)
}

type field struct{ path, value string }

// flatten lists the fields of a Spec that are set, by path, in order; secrets
// are hidden.
func flatten(s *Spec) []field {
	shown := s.Copy()
	shown.UserData = nil
	shown.Access = Access{User: s.Access.User}
	text, err := json.Marshal(shown)
	var tree any
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber() // a float64 has too few digits for some amounts
		err = dec.Decode(&tree)
	}
	if err != nil {
		panic("provision: a Spec that was validated has a JSON form: " + err.Error())
	}
	list := walk(nil, "", tree)
	for path := range secretDigests("", s) {
		list = append(list, field{path, hidden})
	}
	slices.SortFunc(list, func(a, b field) int { return strings.Compare(a.path, b.path) })
	return list
}

func walk(list []field, path string, v any) []field {
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			list = walk(list, strings.TrimPrefix(path+"."+key, "."), e)
		}
	case []any:
		var scalars []string
		for i, e := range v {
			if _, object := e.(map[string]any); object {
				list = walk(list, fmt.Sprintf("%s[%d]", path, i), e)
			} else {
				scalars = append(scalars, fmt.Sprint(e))
			}
		}
		if scalars != nil {
			list = append(list, field{path, strings.Join(scalars, " ")})
		}
	case string:
		list = append(list, field{path, v})
	default:
		list = append(list, field{path, fmt.Sprint(v)})
	}
	return list
}

// String returns the plan as text, one line a field. It is stable: tests may
// compare it.
func (p *Plan) String() string {
	var b strings.Builder
	if p.Action == ActionNone {
		fmt.Fprintf(&b, "nothing to do for %s %q\n", p.Kind, p.Guest)
	} else {
		fmt.Fprintf(&b, "%s %s %q\n", p.Action, p.Kind, p.Guest)
	}
	for _, c := range p.Changes {
		switch {
		case p.Action != ActionChange:
			fmt.Fprintf(&b, "  + %s: %s\n", c.Path, oneLine(c.Want))
		default:
			fmt.Fprintf(&b, "  ~ %s: %s -> %s (%s)\n", c.Path, orNone(c.Have), orNone(c.Want), because(c.Impact.words(), c.Reason))
		}
	}
	for _, l := range p.Limits {
		if l.Enforcement != Enforced {
			fmt.Fprintf(&b, "  ! %s: %s\n", l.Path, because(string(l.Enforcement), l.Reason))
		}
	}
	return b.String()
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + strings.Map(printable, why)
}

// printable keeps texts of a hypervisor on one line.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return oneLine(s)
}

// oneLine keeps values from breaking the text: labels may hold anything.
func oneLine(s string) string {
	if q := strconv.Quote(s); q != `"`+s+`"` {
		return clip(q)
	}
	return clip(s)
}
