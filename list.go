package provision

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
)

// ListOptions narrow [Host.Guests].
type ListOptions struct {
	// Labels that a guest must have, with these values.
	Labels map[string]string
	// Key that a guest must have.
	Key string
	// ManagedOnly leaves out guests that this library did not make.
	ManagedOnly bool
	// Usage fills in Status.Usage of the guests that are on, by one call more for
	// all of them; one that was started or stopped between the calls may have
	// none. Where [Host.Supports] says that FeatureUsage cannot be had, the list
	// is that error.
	Usage bool
}

// Guest returns a handle for the guest of that name, foreign ones included, or
// [ErrNotFound]. The handle is bound to the guest's ID: when the guest is gone
// and another one has its name, the handle answers ErrNotFound.
func (h *Host) Guest(ctx context.Context, name string) (*Guest, error) {
	st, _, err := h.inspect(ctx, Ref{Name: name})
	if err != nil {
		return nil, h.wrap("look up", name, err)
	}
	return &Guest{host: h, name: st.Name, id: st.ID}, nil
}

// GuestByID returns a handle for the guest with that ID, or [ErrNotFound].
func (h *Host) GuestByID(ctx context.Context, id ID) (*Guest, error) {
	if id == "" {
		return nil, h.wrap("look up", "", &FieldError{Path: "id", Problem: "is empty"})
	}
	st, _, err := h.inspect(ctx, Ref{ID: id})
	if err != nil {
		return nil, h.wrap("look up", string(id), err)
	}
	return &Guest{host: h, name: st.Name, id: st.ID}, nil
}

// Guests yields the status of every guest, ordered by name, from one cheap
// call. An error ends the sequence and comes alone; there is no short list
// without one. opts may be nil.
func (h *Host) Guests(ctx context.Context, opts *ListOptions) iter.Seq2[Status, error] {
	if opts == nil {
		opts = new(ListOptions)
	}
	want := *opts
	want.Labels = maps.Clone(want.Labels)
	return func(yield func(Status, error) bool) {
		all, err := h.listed(ctx, want.Usage)
		if err != nil {
			yield(Status{}, h.wrap("list", "", err))
			return
		}
		for _, st := range all {
			if want.match(&st) && !yield(st, nil) {
				return
			}
		}
	}
}

func (o *ListOptions) match(st *Status) bool {
	if o.ManagedOnly && !st.Managed || o.Key != "" && o.Key != st.Key {
		return false
	}
	for name, value := range o.Labels {
		if have, ok := st.Labels[name]; !ok || have != value {
			return false
		}
	}
	return true
}

func (h *Host) found(ctx context.Context) (found []Found, err error) {
	err = h.call(ctx, Call{Op: "list"}, func(ctx context.Context) (err error) {
		found, err = h.backend.List(ctx)
		return err
	})
	return found, err
}

func (h *Host) list(ctx context.Context) ([]Status, error) {
	found, err := h.found(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Status, len(found))
	for i, f := range found {
		all[i], _ = h.guestOf(f)
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// byKey returns the managed guest with a Key. Lists may lag a moment behind in
// what they say of a guest, so what is decided on is read from the guest.
func (h *Host) byKey(ctx context.Context, key string) (Status, *record, error) {
	all, err := h.list(ctx)
	if err != nil {
		return Status{}, nil, err
	}
	for _, st := range all {
		if !st.Managed || st.Key != key {
			continue
		}
		st, rec, err := h.inspect(ctx, Ref{ID: st.ID})
		if errors.Is(err, ErrNotFound) || err == nil && rec == nil {
			continue
		}
		return st, rec, err
	}
	return Status{}, nil, ErrNotFound
}
