//go:build linux

package lxc

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/roots"
)

func TestImpact(t *testing.T) {
	b := New(nil)
	sized := provision.Status{State: provision.StateRunning, Disks: []provision.DiskStatus{{Size: provision.GiB}}}
	off := sized
	off.State = provision.StateStopped
	grown := provision.ImpactLive
	if !roots.CanGrowMounted() {
		grown = provision.ImpactRestart
	}
	for _, c := range []struct {
		path string
		st   provision.Status
		want provision.Impact
	}{
		{"cpu.count", sized, provision.ImpactLive},
		{"cpu.limit", sized, provision.ImpactLive},
		{"cpu.weight", sized, provision.ImpactLive},
		{"cpu.pin", sized, provision.ImpactLive},
		{"memory.size", sized, provision.ImpactLive},
		{"memory.swap", sized, provision.ImpactLive},
		{"memory.guaranteed", sized, provision.ImpactLive},
		{"memory.hugePages", sized, provision.ImpactImpossible},
		{"limits.processes", sized, provision.ImpactLive},
		{"limits.openFiles", sized, provision.ImpactRestart},
		{"disks[0].iops", sized, provision.ImpactLive},
		{"disks[0].bps", sized, provision.ImpactLive},
		{"disks[0].inodes", sized, provision.ImpactRecreate},
		{"disks[0].size", sized, grown},
		{"disks[0].size", off, provision.ImpactLive},
		{"disks[0].size", provision.Status{Disks: make([]provision.DiskStatus, 1)}, provision.ImpactRecreate},
		{"disks[1].size", sized, provision.ImpactImpossible},
		{"nics[0].rate.in", sized, provision.ImpactLive},
		{"nics[12].rate.out", sized, provision.ImpactLive},
		{"nics[0].bridge", sized, provision.ImpactRecreate},
		{"nics[0].isolated", sized, provision.ImpactRecreate},
		{"native.nesting", sized, provision.ImpactRestart},
		{"native.privileged", sized, provision.ImpactRecreate},
	} {
		got, why := b.Impact(c.st, provision.Change{Path: c.path})
		require.Equal(t, c.want, got, c.path)
		require.Equal(t, got == provision.ImpactLive, why == "", "%s: %q", c.path, why)
	}
}

// Of the processors that the host has, which need not begin at 0, a guest gets those
// that the fewest others see.
func TestChoosePin(t *testing.T) {
	b := New(&Options{LXCPath: t.TempDir()})
	b.host.cpus = []int{2, 3, 6, 7}
	taken := func(name string, pin ...int) {
		d := newDefinition(&provision.NewGuest{ID: provision.ID(name), Spec: &provision.Spec{Name: name, Disks: make([]provision.Disk, 1)}})
		d.Pin = pin
		data, err := d.encode()
		require.NoError(t, err)
		require.NoError(t, makeGuestFiles(b.at.guest(name), data))
	}
	spec := func(count int, pin ...int) *provision.Spec {
		return &provision.Spec{Name: "new", CPU: provision.CPU{Count: count, Pin: pin}}
	}
	taken("a", 2, 3)
	taken("b", 3, 6)
	for _, c := range []struct {
		spec *provision.Spec
		want []int
	}{
		{spec(1), []int{7}},
		{spec(2), []int{2, 7}},
		{spec(3), []int{2, 6, 7}},
		{spec(4), nil},
		{spec(9), nil},
		{spec(1, 3), []int{3}},
	} {
		got, err := b.choosePin(c.spec)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}
