package provision

import (
	"encoding/json"
	"fmt"
	"time"
)

// The JSON form of Usage: a number that is not known is left out.
type (
	usageJSON struct {
		Run    string          `json:"run,omitempty"`
		Time   time.Time       `json:"time,omitzero"`
		CPU    *uint64         `json:"cpu,omitempty"`
		Memory *memoryJSON     `json:"memory,omitempty"`
		Disks  []diskJSONUsage `json:"disks,omitempty"`
		NICs   []nicJSONUsage  `json:"nics,omitempty"`
		Unread []Unread        `json:"unread,omitempty"`
	}
	memoryJSON struct {
		Host  *uint64 `json:"host,omitempty"`
		Guest *uint64 `json:"guest,omitempty"`
	}
	diskJSONUsage struct {
		Target    string  `json:"target"`
		Read      *uint64 `json:"read,omitempty"`
		Written   *uint64 `json:"written,omitempty"`
		Reads     *uint64 `json:"reads,omitempty"`
		Writes    *uint64 `json:"writes,omitempty"`
		Allocated *uint64 `json:"allocated,omitempty"`
	}
	nicJSONUsage struct {
		Device     string  `json:"device,omitempty"`
		MAC        MAC     `json:"mac,omitzero"`
		In         *uint64 `json:"in,omitempty"`
		Out        *uint64 `json:"out,omitempty"`
		PacketsIn  *uint64 `json:"packetsIn,omitempty"`
		PacketsOut *uint64 `json:"packetsOut,omitempty"`
		DropsIn    *uint64 `json:"dropsIn,omitempty"`
		DropsOut   *uint64 `json:"dropsOut,omitempty"`
	}
)

// MarshalJSON leaves out what is not known.
func (u Usage) MarshalJSON() ([]byte, error) {
	v := usageJSON{Run: u.Run, Time: u.Time, Unread: u.Unread}
	if u.Known("cpu") {
		v.CPU = number(u.CPU)
	}
	var m memoryJSON
	if u.Known("memory.host") {
		m.Host = number(u.Memory.Host)
	}
	if u.Known("memory.guest") {
		m.Guest = number(u.Memory.Guest)
	}
	if m != (memoryJSON{}) {
		v.Memory = &m
	}
	for i, d := range u.Disks {
		disk, at := diskJSONUsage{Target: d.Target}, fmt.Sprintf("disks[%d]", i)
		if u.Known(at) {
			disk.Read, disk.Written, disk.Reads, disk.Writes = number(d.Read), number(d.Written), number(d.Reads), number(d.Writes)
		}
		if u.Known(at + ".allocated") {
			disk.Allocated = number(d.Allocated)
		}
		v.Disks = append(v.Disks, disk)
	}
	for i, n := range u.NICs {
		nic := nicJSONUsage{Device: n.Device, MAC: n.MAC}
		if u.Known(fmt.Sprintf("nics[%d]", i)) {
			nic.In, nic.Out, nic.PacketsIn, nic.PacketsOut = number(n.In), number(n.Out), number(n.PacketsIn), number(n.PacketsOut)
			nic.DropsIn, nic.DropsOut = number(n.DropsIn), number(n.DropsOut)
		}
		v.NICs = append(v.NICs, nic)
	}
	return json.Marshal(v)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (u *Usage) UnmarshalJSON(data []byte) error {
	var v usageJSON
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*u = Usage{Run: v.Run, Time: v.Time, CPU: time.Duration(value(v.CPU)), Unread: v.Unread}
	if v.Memory != nil {
		u.Memory = MemoryUsage{Bytes(value(v.Memory.Host)), Bytes(value(v.Memory.Guest))}
	}
	for _, d := range v.Disks {
		u.Disks = append(u.Disks, DiskUsage{
			d.Target, Bytes(value(d.Read)), Bytes(value(d.Written)), value(d.Reads), value(d.Writes), Bytes(value(d.Allocated)),
		})
	}
	for _, n := range v.NICs {
		u.NICs = append(u.NICs, NICUsage{
			n.Device, n.MAC, Bytes(value(n.In)), Bytes(value(n.Out)),
			value(n.PacketsIn), value(n.PacketsOut), value(n.DropsIn), value(n.DropsOut),
		})
	}
	return nil
}

func number[T ~int64 | ~uint64](v T) *uint64 {
	n := uint64(v)
	return &n
}

// value is what p points at, or zero.
func value(p *uint64) uint64 {
	if p == nil {
		return 0
	}
	return *p
}
