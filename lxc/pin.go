//go:build linux

package lxc

import (
	"slices"

	"github.com/guestforge/provision"
)

// choosePin returns the processors that a guest sees: those that were asked for, or
// as many as it has vCPUs, of those that the fewest guests see, the lowest first.
// Without it a guest would see all of the host's. Nil is all of them.
//
// A container's vCPUs are processors of the host: guests with the same ones share
// them by weight, and one with fewer than the host has never runs on the others. The
// choice stays until the number is changed. Two guests that are made at the same time
// may choose the same ones, which only makes the choice a worse one.
func (b *Backend) choosePin(s *provision.Spec) ([]int, error) {
	if len(s.CPU.Pin) > 0 {
		return slices.Clone(s.CPU.Pin), nil
	}
	if s.CPU.Count >= len(b.host.cpus) {
		return nil, nil
	}
	names, err := b.names()
	if err != nil {
		return nil, err
	}
	seen := map[int]int{}
	for _, name := range names {
		d, err := b.load(name)
		if err != nil || d == nil || name == s.Name {
			continue // no guest of ours, or one that is gone
		}
		for _, cpu := range d.Pin {
			seen[cpu]++
		}
	}
	cpus := slices.Clone(b.host.cpus)
	slices.SortStableFunc(cpus, func(a, b int) int { return seen[a] - seen[b] })
	pin := cpus[:s.CPU.Count]
	slices.Sort(pin)
	return pin, nil
}
