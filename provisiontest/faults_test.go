package provisiontest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestFaults(t *testing.T) {
	own := context.Canceled // what the call itself returns
	cases := []struct {
		name   string
		script func(*Faults)
		own    error
		want   []error // of each call in turn
		ran    int
	}{
		{"none", func(*Faults) {}, nil, []error{nil}, 1},
		{"before", func(f *Faults) { f.Before("start", "", errInjected) }, nil, []error{errInjected, nil}, 1},
		{"after", func(f *Faults) { f.After("start", "", errInjected) }, nil, []error{errInjected, nil}, 2},
		{"after a failure", func(f *Faults) { f.After("start", "", errInjected) }, own, []error{own, own}, 2},
		{"always", func(f *Faults) { f.Before("start", "", errInjected).Always() }, nil, []error{errInjected, errInjected}, 0},
		{"in turn", func(f *Faults) {
			f.Before("start", "", errInjected)
			f.Before("start", "", errUndo)
		}, nil, []error{errInjected, errUndo, nil}, 1},
		{"other op", func(f *Faults) { f.Before("stop", "", errInjected) }, nil, []error{nil}, 1},
		{"other step", func(f *Faults) { f.Before("start", "disk 0", errInjected) }, nil, []error{nil}, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := NewFaults()
			c.script(f)
			ran := 0
			for i, want := range c.want {
				err := f.Around(t.Context(), provision.Call{Op: "start", Guest: "web1"}, func(context.Context) error {
					ran++
					return c.own
				})
				require.Equal(t, want, err, "call %d", i)
			}
			require.Equal(t, c.ran, ran)
			require.Len(t, f.Calls(), len(c.want))
		})
	}
}

func TestFaultsPending(t *testing.T) {
	f := NewFaults()
	f.Before("create", "no such step", errInjected)
	h := openHost(t, NewBackend(nil), &provision.Options{Around: f.Around})
	_, err := h.Guest(t.Context(), "web1")
	require.ErrorIs(t, err, provision.ErrNotFound)
	require.Equal(t, []string{`create "no such step": injected fault`}, f.Pending())
	require.Panics(t, func() { f.After("create", "", nil) })
}
