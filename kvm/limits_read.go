package kvm

import (
	"encoding/xml"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
)

// tuned is the part of a domain's document that limits a guest.
type tuned struct {
	Name  string `xml:"name"`
	UUID  string `xml:"uuid"`
	VCPUs int    `xml:"vcpu"`
	Tune  struct {
		Shares *uint64 `xml:"shares"`
		Period uint64  `xml:"global_period"`
		Quota  int64   `xml:"global_quota"`
		Pins   []struct {
			Set string `xml:"cpuset,attr"`
		} `xml:"vcpupin"`
	} `xml:"cputune"`
	Backing struct {
		Huge       *struct{} `xml:"hugepages"`
		NoShare    *struct{} `xml:"nosharepages"`
		Locked     *struct{} `xml:"locked"`
		Allocation struct {
			Mode string `xml:"mode,attr"`
		} `xml:"allocation"`
	} `xml:"memoryBacking"`
	Memory  amount `xml:"memory"`
	Devices struct {
		Disks []tunedDisk `xml:"disk"`
		NICs  []struct {
			In  average `xml:"bandwidth>inbound"`
			Out average `xml:"bandwidth>outbound"`
		} `xml:"interface"`
		Balloon struct {
			Model string `xml:"model,attr"`
		} `xml:"memballoon"`
	} `xml:"devices"`
}

type tunedDisk struct {
	Serial string `xml:"serial"`
	Source struct {
		File string `xml:"file,attr"`
	} `xml:"source"`
	Tune struct {
		IOPS uint64 `xml:"total_iops_sec"`
		BPS  uint64 `xml:"total_bytes_sec"`
	} `xml:"iotune"`
}

type average struct {
	KiB uint64 `xml:"average,attr"`
}

// amount of memory, which libvirt writes in KiB.
type amount struct {
	KiB uint64 `xml:",chardata"`
}

func parseTuned(text string) (*tuned, error) {
	t := new(tuned)
	if err := xml.Unmarshal([]byte(text), t); err != nil {
		return nil, fmt.Errorf("limits in the domain's definition: %w", err)
	}
	return t, nil
}

// guaranteed says whether it has all that a guest with guaranteed memory gets,
// but for being locked.
func (t *tuned) guaranteed() bool {
	return t.Devices.Balloon.Model == "none" && t.Backing.NoShare != nil && t.Backing.Allocation.Mode == "immediate"
}

// rawShares begins a weight whose scale is not known yet.
const rawShares = "shares "

// readings collects limits as they were read back.
type readings struct{ list []provision.Limit }

func (r *readings) add(have, path string, index ...any) *provision.Limit {
	r.list = append(r.list, provision.Limit{Path: fmt.Sprintf(path, index...), Have: have, Enforcement: provision.Enforced})
	return &r.list[len(r.list)-1]
}

// limits lists the limits that a definition has.
func (t *tuned) limits(w weights) []provision.Limit {
	r := &readings{}
	if t.Tune.Quota > 0 {
		r.add(cores(t.Tune.Quota, t.Tune.Period), "cpu.limit")
	}
	if t.Tune.Shares != nil {
		have := strconv.Itoa(w.weight(*t.Tune.Shares))
		if w == weightsUnknown {
			have = fmt.Sprint(rawShares, *t.Tune.Shares)
		}
		r.add(have, "cpu.weight")
	}
	if len(t.Tune.Pins) > 0 {
		r.add(t.pins(), "cpu.pin")
	}
	if t.guaranteed() {
		if l := r.add("true", "memory.guaranteed"); t.Backing.Locked == nil && t.Backing.Huge == nil {
			l.Enforcement, l.Reason = provision.Partial, notLocked
		}
	}
	if t.Backing.Huge != nil {
		r.add("true", "memory.hugePages")
	}
	t.diskLimits(r)
	for i, n := range t.Devices.NICs {
		if n.In.KiB > 0 {
			r.add(bitRate(n.In.KiB).String(), "nics[%d].rate.in", i)
		}
		if n.Out.KiB > 0 {
			r.add(bitRate(n.Out.KiB).String(), "nics[%d].rate.out", i)
		}
	}
	return r.list
}

// diskLimits numbers disks as Spec and Status do.
func (t *tuned) diskLimits(r *readings) {
	disks := slices.DeleteFunc(slices.Clone(t.Devices.Disks), func(d tunedDisk) bool {
		return path.Base(d.Source.File) == seedName(provision.ID(t.UUID))
	})
	numbers := diskNumbers(disks)
	for at, d := range disks {
		i := numbers[at]
		if i >= 0 && d.Tune.IOPS > 0 {
			r.add(strconv.FormatUint(d.Tune.IOPS, 10), "disks[%d].iops", i)
		}
		if i >= 0 && d.Tune.BPS > 0 {
			r.add(provision.Bytes(d.Tune.BPS).String(), "disks[%d].bps", i)
		}
	}
}

const notLocked = "it is allocated when the guest starts and never taken back, but libvirtd may not lock it: a host with swap can move it out"

func bitRate(kib uint64) provision.BitRate { return provision.BitRate(kib * 8 * 1024) }

// cores writes a quota of microseconds in each period.
func cores(quota int64, period uint64) string {
	if period == 0 {
		period = 100_000 // libvirt's default
	}
	return strconv.FormatFloat(float64(quota)/float64(period), 'f', -1, 64)
}

// pins writes the processors that all vCPUs may run on, or the difference.
func (t *tuned) pins() string {
	have := setNumbers(t.Tune.Pins[0].Set)
	for _, p := range t.Tune.Pins {
		if setNumbers(p.Set) != have {
			return "not the same for each vCPU"
		}
	}
	if len(t.Tune.Pins) < t.VCPUs {
		return "not for each vCPU"
	}
	return have
}

// setNumbers turns "0-2,8" into "0 1 2 8".
func setNumbers(set string) string {
	var list []string
	for part := range strings.SplitSeq(set, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, err := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil || b-a > 8192 {
			return set
		}
		for ; a <= b; a++ {
			list = append(list, strconv.Itoa(a))
		}
	}
	return strings.Join(list, " ")
}
