package provision

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
)

// Defaults of a Spec.
const (
	defaultCPUs   = 1
	defaultMemory = 512 * MiB
)

// Copy returns a Spec that shares nothing with s but Native.
func (s Spec) Copy() Spec {
	s.CPU.Pin = slices.Clone(s.CPU.Pin)
	s.Disks = slices.Clone(s.Disks)
	s.NICs = slices.Clone(s.NICs)
	for i := range s.NICs {
		s.NICs[i].Addresses = slices.Clone(s.NICs[i].Addresses)
		s.NICs[i].Gateways = slices.Clone(s.NICs[i].Gateways)
	}
	s.DNS.Servers = slices.Clone(s.DNS.Servers)
	s.DNS.Search = slices.Clone(s.DNS.Search)
	s.Access.AuthorizedKeys = slices.Clone(s.Access.AuthorizedKeys)
	s.UserData = slices.Clone(s.UserData)
	s.Labels = maps.Clone(s.Labels)
	return s
}

// withDefaults returns a copy in which every default is written out. Where the
// ID is not known yet, MAC addresses stay open.
func (s Spec) withDefaults(id ID) Spec {
	s = s.Copy()
	if s.Hostname == "" {
		s.Hostname = s.Name
	}
	if s.CPU.Count == 0 {
		s.CPU.Count = defaultCPUs
	}
	slices.Sort(s.CPU.Pin)
	if s.Memory.Size == 0 {
		s.Memory.Size = defaultMemory
	}
	s.Memory.Guaranteed = s.Memory.Guaranteed || s.Needs.GuaranteedMemory
	if len(s.Disks) == 0 {
		s.Disks = make([]Disk, 1)
	}
	for i := range s.NICs {
		if s.NICs[i].MAC.IsZero() && id != "" {
			s.NICs[i].MAC = derivedMAC(id, i)
		}
	}
	return s
}

// derivedMAC makes a locally administered unicast address (IEEE 802, the 2 bit
// of the first byte) of 40 bits that follow from the ID: among 10,000 NICs the
// chance that two are the same is below 1 in 20,000.
func derivedMAC(id ID, nic int) MAC {
	h := sha256.Sum256(fmt.Appendf(nil, "%s/nic%d", id, nic))
	return MAC{0x02, h[0], h[1], h[2], h[3], h[4]}
}
