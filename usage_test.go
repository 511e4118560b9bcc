package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/golden"
	"github.com/guestforge/provision/provisiontest"
)

// The JSON form of Usage has no number that is not known.
func TestUsageJSON(t *testing.T) {
	full := provision.Usage{
		Run: "7", Time: noon, CPU: 3 * time.Second, Memory: provision.MemoryUsage{Host: provision.GiB, Guest: provision.MiB},
		Disks: []provision.DiskUsage{{Target: "vda", Read: 1, Written: 2, Reads: 3, Writes: 4, Allocated: 5}},
		NICs:  []provision.NICUsage{{Device: "tap0", MAC: provision.MAC{2, 0, 0, 0, 0, 1}, In: 1, Out: 2, PacketsIn: 3, PacketsOut: 4, DropsIn: 5, DropsOut: 6}},
	}
	hung := provision.Usage{Run: "8", Time: noon, CPU: time.Second,
		Disks: []provision.DiskUsage{{Target: "vda", Allocated: 5}, {Target: "vdb"}}, NICs: []provision.NICUsage{{}, {Device: "tap1"}},
		Unread: []provision.Unread{{"memory", "no answer"}, {"disks[0]", "no answer"}, {"disks[1]", "no answer"}, {"disks[1].allocated", "no file"}, {"nics[0]", "not counted"}}}
	off := provision.Usage{Time: noon, Disks: []provision.DiskUsage{{Target: "vda", Allocated: 5}}}
	all := []provision.Usage{full, hung, off, {Time: noon}}
	text, err := json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	golden.Check(t, "usage.json", string(text)+"\n")
	var back []provision.Usage
	require.NoError(t, json.Unmarshal(text, &back))
	require.Empty(t, cmp.Diff(all, back, sameSpec))
}

// What is not known is never taken for a number.
func TestUsageKnown(t *testing.T) {
	paths := []string{"cpu", "memory.host", "memory.guest", "disks[0]", "disks[0].allocated", "disks[10]", "disks[1]", "disks[1].allocated", "nics[0]", "nics[1]"}
	for _, c := range []struct {
		name, run string
		unread    []string
		unknown   []string
	}{
		{"all is read", "1", nil, nil},
		{"off", "", nil, []string{"cpu", "memory.host", "memory.guest", "disks[0]", "disks[10]", "disks[1]", "nics[0]", "nics[1]"}},
		{"a group", "1", []string{"memory", "nics"}, []string{"memory.host", "memory.guest", "nics[0]", "nics[1]"}},
		{"all of the disks", "1", []string{"disks"}, []string{"disks[0]", "disks[0].allocated", "disks[10]", "disks[1]", "disks[1].allocated"}},
		{"one disk's counters", "1", []string{"disks[1]"}, []string{"disks[1]"}},
		{"one disk's size", "1", []string{"disks[1].allocated"}, []string{"disks[1].allocated"}},
		{"single ones", "1", []string{"cpu", "memory.guest", "nics[1]"}, []string{"cpu", "memory.guest", "nics[1]"}},
	} {
		u := provision.Usage{Run: c.run}
		for _, p := range c.unread {
			u.Unread = append(u.Unread, provision.Unread{Path: p, Reason: "a test"})
		}
		var have []string
		for _, p := range paths {
			if !u.Known(p) {
				have = append(have, p)
			}
		}
		require.ElementsMatch(t, c.unknown, have, c.name)
	}
}

// A list with usage is complete or an error, as any list.
func TestListWithUsageFails(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	r.running()
	r.faults.Before("usage", "", provision.ErrUnavailable)
	n := 0
	for st, err := range r.Guests(t.Context(), &provision.ListOptions{Usage: true}) {
		require.ErrorIs(t, err, provision.ErrUnavailable)
		require.Zero(t, st.Name)
		n++
	}
	require.Equal(t, 1, n)
	for _, err := range r.Guests(t.Context(), &provision.ListOptions{Usage: true}) {
		require.NoError(t, err)
	}
}

// The error of a wait for an address says which source failed, and why.
func TestUntilAddressSaysWhy(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("enough")) })
	_, err := g.Wait(ctx, provision.UntilAddress(provision.SourceARP))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "arp: the simulated host has no ARP table")
	require.Equal(t, "an address from lease, agent or arp", fmt.Sprint(provision.UntilAddress()))
}

// The error of a wait for programs says why none could be run.
func TestUntilExecSaysWhy(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{BootTime: 10000 * time.Hour}, provision.Options{})
	g := r.create(small())
	require.NoError(t, g.Start(t.Context(), nil))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := g.Wait(ctx, provision.UntilExec())
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, provision.ErrUnavailable, "that is not what ended it")
	require.ErrorContains(t, err, "the guest has not booted")
}
