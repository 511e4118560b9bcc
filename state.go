package provision

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// ID is the identity of a guest: a UUID made at create, kept inside the
// hypervisor's object and never used again. A guest that is not managed has
// whatever identity its hypervisor gives it.
type ID string

// State of a guest.
type State string

// States. StateAbsent appears in errors and events only: a guest that is not
// there has no Status.
const (
	StateAbsent     State = "absent"
	StateIncomplete State = "incomplete" // a create or delete did not finish
	StateStopped    State = "stopped"
	StateStarting   State = "starting"
	StateRunning    State = "running"
	StatePaused     State = "paused" // frozen in memory
	StateStopping   State = "stopping"
	StateCrashed    State = "crashed"
	StateUnknown    State = "unknown" // Reason says why
)

// Live reports whether a guest in this state holds memory of its host.
func (s State) Live() bool {
	switch s {
	case StateStarting, StateRunning, StatePaused, StateStopping:
		return true
	}
	return false
}

// settled reports whether the state lasts until somebody changes it.
func (s State) settled() bool { return s != StateStarting && s != StateStopping }

// Status is what is known of a guest at one moment. Amounts are plain numbers,
// in bytes, in its JSON form.
type Status struct {
	Name  string `json:"name"`
	ID    ID     `json:"id"`
	Key   string `json:"key,omitempty"`
	State State  `json:"state"`
	// Reason for the state, where the hypervisor gives one.
	Reason string `json:"reason,omitempty"`
	// Managed guests were made by this library; others are only looked at.
	Managed bool `json:"managed"`
	// Suspended holds the reasons for which the guest must not run, sorted.
	Suspended []string          `json:"suspended,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Image     string            `json:"image,omitempty"`
	Autostart bool              `json:"autostart"`
	CPUs      int               `json:"cpus"`
	Memory    Bytes             `json:"-"`
	Disks     []DiskStatus      `json:"disks,omitempty"`
	NICs      []NICStatus       `json:"nics,omitempty"`
	// Addresses that the guest is configured or seen to have.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// Limits says of every limit that was asked for whether it holds.
	Limits  []Limit   `json:"limits,omitempty"`
	Created time.Time `json:"created,omitzero"`
	// Usage of a guest that is on, in lists that were asked for it: see
	// ListOptions.
	Usage *Usage `json:"usage,omitempty"`
}

// DiskStatus is a disk as the hypervisor has it.
type DiskStatus struct {
	Target string // the hypervisor's name for it: "vda"
	Source string // volume or file
	Size   Bytes  // zero: not known
	// Serial is what the guest knows it by, below /dev/disk/by-id: "root",
	// and "disk1", "disk2" and so on for the other Disks of its Spec. Empty on
	// hypervisors without serials; disks then stand in the order of the Spec.
	Serial string
}

// NICStatus is a network card as the hypervisor has it.
type NICStatus struct {
	Bridge string `json:"bridge"`
	VLAN   int    `json:"vlan,omitempty"`
	MAC    MAC    `json:"mac"`
	Device string `json:"device,omitempty"` // the host's side of it, where it is known
	MTU    int    `json:"mtu,omitempty"`    // zero: that of the bridge
	// Isolated from the other isolated ports of the bridge.
	Isolated bool `json:"isolated,omitempty"`
}

// Enforcement says whether a limit holds.
type Enforcement string

// Values of [Enforcement].
const (
	Enforced    Enforcement = "enforced"
	Partial     Enforcement = "partial"
	NotEnforced Enforcement = "not enforced"
)

// Limit is one limit of a Spec and whether it holds, as read back from kernel
// or hypervisor. There is one for each that was asked for: cpu.count, cpu.limit,
// cpu.weight, cpu.pin, memory.size, memory.swap, memory.guaranteed,
// memory.hugePages, disks[i].size, disks[i].inodes, disks[i].iops, disks[i].bps,
// nics[i].rate.in, nics[i].rate.out, nics[i].antiSpoof, nics[i].isolated,
// limits.processes and limits.openFiles; and one, "not enforced" and without Want,
// for each that somebody has set by other means. [Guest.Status] reads them back; in
// lists, a backend may take them from the guest's definition, which can be newer
// than what a running guest has.
type Limit struct {
	Path        string      `json:"path"` // the field of the Spec: "memory.size"
	Want        string      `json:"want,omitempty"`
	Have        string      `json:"have,omitempty"` // as read back
	Enforcement Enforcement `json:"enforcement"`
	Reason      string      `json:"reason,omitempty"` // for all but Enforced
}

// MarshalJSON writes amounts as numbers of bytes.
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status
	return json.Marshal(struct {
		plain
		Memory uint64 `json:"memory"`
	}{plain(s), uint64(s.Memory)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Status) UnmarshalJSON(data []byte) error {
	type plain Status
	v := struct {
		*plain
		Memory uint64 `json:"memory"`
	}{plain: (*plain)(s)}
	err := json.Unmarshal(data, &v)
	s.Memory = Bytes(v.Memory)
	return err
}

type diskJSON struct {
	Target string `json:"target"`
	Source string `json:"source,omitempty"`
	Size   uint64 `json:"size,omitempty"`
	Serial string `json:"serial,omitempty"`
}

// MarshalJSON writes the size as a number of bytes.
func (d DiskStatus) MarshalJSON() ([]byte, error) {
	return json.Marshal(diskJSON{d.Target, d.Source, uint64(d.Size), d.Serial})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *DiskStatus) UnmarshalJSON(data []byte) error {
	var v diskJSON
	err := json.Unmarshal(data, &v)
	*d = DiskStatus{v.Target, v.Source, Bytes(v.Size), v.Serial}
	return err
}

// sameRecord compares what does not change by itself.
func (s *Status) sameRecord(o *Status) bool {
	return s.Name == o.Name && s.Key == o.Key && s.Autostart == o.Autostart && s.CPUs == o.CPUs && s.Memory == o.Memory &&
		slices.Equal(s.Suspended, o.Suspended) && maps.Equal(s.Labels, o.Labels) && slices.Equal(s.Disks, o.Disks) && slices.Equal(s.NICs, o.NICs)
}
