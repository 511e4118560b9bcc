package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guestforge/provision/internal/lock"
)

// OrphanKind says what an [Orphan] is.
type OrphanKind string

// Kinds of orphans. Backends may have others.
const (
	OrphanGuest  OrphanKind = "guest"  // one whose create or delete did not finish
	OrphanVolume OrphanKind = "volume" // a disk, or what firmware keeps
	OrphanSeed   OrphanKind = "seed"   // what a guest is configured with at its first boot
	OrphanLog    OrphanKind = "log"    // of a console
	OrphanImage  OrphanKind = "image"  // part of one whose import did not finish
	OrphanTrial  OrphanKind = "trial"  // of a guest that was made to try the machine
)

// Orphan is something of ours on the machine that no guest and no image needs:
// what a killed process left, or what remained when somebody removed a guest by
// other means.
type Orphan struct {
	Kind OrphanKind `json:"kind"`
	// Name is the hypervisor's; of a guest, its name. Kind and Name together tell
	// orphans apart.
	Name string `json:"name"`
	// ID of the guest that it belonged to; empty where it belonged to none.
	ID ID `json:"id,omitempty"`
	// Image that it is a part of, of OrphanImage.
	Image string `json:"image,omitempty"`
	// Size that removing it would free at the most; 0 if not known.
	Size Bytes `json:"-"`
	// Modified is when it was last written to, of a guest when it was made; zero
	// if not known.
	Modified time.Time `json:"modified,omitzero"`
	// Evidence says, for people, why it is ours and why nobody needs it.
	Evidence []string `json:"evidence"`
}

// MarshalJSON writes the size as a number of bytes.
func (o Orphan) MarshalJSON() ([]byte, error) {
	type plain Orphan
	return json.Marshal(struct {
		plain
		Size uint64 `json:"size,omitempty"`
	}{plain(o), uint64(o.Size)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *Orphan) UnmarshalJSON(data []byte) error {
	type plain Orphan
	v := struct {
		*plain
		Size uint64 `json:"size"`
	}{plain: (*plain)(o)}
	err := json.Unmarshal(data, &v)
	o.Size = Bytes(v.Size)
	return err
}

// OrphanOptions of [Host.Orphans] and [Host.RemoveOrphan].
type OrphanOptions struct {
	// MinAge leaves out what was written to more recently: a create on another
	// machine of the same hypervisor shows in no lock of this one. Default: ten
	// minutes; negative: nothing is left out. What has no known age never is.
	MinAge time.Duration
}

const defaultMinAge = 10 * time.Minute

func (o *OrphanOptions) minAge() time.Duration {
	if o == nil || o.MinAge == 0 {
		return defaultMinAge
	}
	return o.MinAge
}

// Orphans lists what is ours and nobody's, with the evidence, sorted by Kind and
// Name. It changes nothing. What a create, delete or import that is under way on
// this machine holds is not among it. opts may be nil.
func (h *Host) Orphans(ctx context.Context, opts *OrphanOptions) ([]Orphan, error) {
	list, err := h.orphans(ctx, opts)
	return list, h.wrap("look for orphans", "", err)
}

func (h *Host) orphans(ctx context.Context, opts *OrphanOptions) (list []Orphan, err error) {
	s, err := need[Sweeper](h, FeatureOrphans)
	if err != nil {
		return nil, err
	}
	var all []Orphan
	err = h.call(ctx, Call{Op: "orphans"}, func(ctx context.Context) (err error) {
		all, err = s.Orphans(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	half, err := h.halfMade(ctx)
	if err != nil {
		return nil, err
	}
	age := opts.minAge()
	since := h.opts.Clock.Now().Add(-age)
	for _, o := range append(all, half...) {
		if age > 0 && o.Modified.After(since) {
			continue
		}
		free, err := h.untouched(ctx, &o)
		if err != nil {
			return nil, err
		}
		if free {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b Orphan) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// halfMade returns the guests whose create or delete did not finish.
func (h *Host) halfMade(ctx context.Context) ([]Orphan, error) {
	found, err := h.found(ctx)
	if err != nil {
		return nil, err
	}
	var list []Orphan
	for _, f := range found {
		st, rec := h.guestOf(f)
		if rec == nil || rec.Phase == complete {
			continue
		}
		o := Orphan{Kind: OrphanGuest, Name: st.Name, ID: st.ID, Modified: st.Created}
		for _, d := range st.Disks {
			o.Size += d.Size
		}
		o.Evidence = []string{
			fmt.Sprintf("%s; the guest was made at %s", st.Reason, st.Created.Format(time.RFC3339)),
			"no operation of this machine holds its lock",
		}
		list = append(list, o)
	}
	return list, nil
}

// lockOf returns the lock that whoever is making or removing an orphan would
// hold. What a guest of ours needs besides itself has none: its own object comes
// first and goes last, and the backend has seen that there is none.
func (o *Orphan) lockOf() (space uint8, name string, ok bool) {
	switch {
	case o.Kind == OrphanGuest:
		return lockGuest, o.Name, true
	case o.Image != "":
		return lockImage, o.Image, true
	}
	return 0, "", false
}

// untouched reports whether no operation holds an orphan.
func (h *Host) untouched(ctx context.Context, o *Orphan) (bool, error) {
	unlock, err := h.tryLock(ctx, o)
	if errors.Is(err, ErrBusy) && ctx.Err() == nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	unlock()
	return true, nil
}

// tryLock takes the lock of an orphan, or is ErrBusy soon.
func (h *Host) tryLock(ctx context.Context, o *Orphan) (func(), error) {
	space, name, ok := o.lockOf()
	if !ok {
		return func() {}, nil
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	return h.lock(short, space, name, lock.Exclusive)
}

// RemoveOrphan removes one orphan, by its Kind, Name, ID and Image. It looks at it
// again first: what is no orphan any more, because it is gone or somebody needs
// it, is [ErrConflict] and is left alone, and so is what is younger than MinAge. One
// that an operation holds is [ErrBusy]. Use the options that Orphans was called
// with; opts may be nil.
func (h *Host) RemoveOrphan(ctx context.Context, o Orphan, opts *OrphanOptions) error {
	return h.wrap("remove orphan", o.Name, h.removeOrphan(ctx, o, opts))
}

func (h *Host) removeOrphan(ctx context.Context, o Orphan, opts *OrphanOptions) error {
	s, err := need[Sweeper](h, FeatureOrphans)
	if err != nil {
		return err
	}
	before := h.opts.Clock.Now().Add(-opts.minAge())
	unlock, err := h.tryLock(ctx, &o)
	if err != nil {
		return err
	}
	if o.Kind == OrphanGuest {
		unlock() // to be taken with the guest as it is then
		return h.removeHalfMade(ctx, o, before)
	}
	defer unlock()
	return h.call(ctx, Call{Op: "sweep", ID: o.ID}, func(ctx context.Context) error { return s.RemoveOrphan(ctx, o, before) })
}

// removeHalfMade is Delete for a guest that is still incomplete.
func (h *Host) removeHalfMade(ctx context.Context, o Orphan, before time.Time) error {
	if o.ID == "" {
		return fmt.Errorf("%w: it has no ID", ErrConflict)
	}
	g := &Guest{host: h, name: o.Name, id: o.ID}
	err := g.locked(ctx, g.look, func(st Status, rec *record) error {
		switch {
		case rec == nil || rec.Phase == complete || st.Name != o.Name:
			return fmt.Errorf("%w: the guest %s is %s", ErrConflict, st.Name, st.State)
		case st.Created.After(before):
			return fmt.Errorf("%w: the guest was made at %s, which is less than the least age ago", ErrConflict, st.Created.Format(time.RFC3339))
		}
		return g.delete(ctx, st, rec, new(DeleteOptions))
	})
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: the guest is gone", ErrConflict)
	}
	return err
}
