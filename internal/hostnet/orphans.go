package hostnet

import (
	"maps"
	"slices"
)

// Leftovers are what is there by names of this package, and belongs to no guest.
type Leftovers struct {
	Devices []string // of veths and queues
	Tables  []string // of nftables, in the family netdev
}

// Leftovers lists what does not belong to the guests with these IDs, by name: what
// other programs named the same way is listed too. Without the rules being known,
// there are no tables in it, and the error says why.
func (s *State) Leftovers(guests []string) (Leftovers, error) {
	devices, tables := map[string]bool{}, map[string]bool{}
	for _, id := range guests {
		tables[Table(id)] = true
		devices[digest(id, 10)] = true
	}
	var left Leftovers
	for _, name := range slices.Sorted(maps.Keys(s.links)) {
		if ours.MatchString(name) && !devices[name[2:12]] {
			left.Devices = append(left.Devices, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.rules)) {
		if !tables[name] {
			left.Tables = append(left.Tables, name)
		}
	}
	return left, s.noRules
}
