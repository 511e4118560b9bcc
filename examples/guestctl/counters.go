package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/guestforge/provision"
)

// usageOf shows the counters of a guest.
func usageOf(ctx context.Context, c *command) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	u, err := g.Usage(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(u)
	}
	return c.table(usageRows(&u)...)
}

// unknown stands for a number that could not be read.
const unknown = "?"

func usageRows(u *provision.Usage) [][]string {
	rows := [][]string{{"run", orNone(u.Run)}}
	if u.Live() {
		rows = append(rows, []string{"cpu time", cpuTime(u)}, []string{"memory on the host", inUse(u)})
		inside := unknown
		if u.Known("memory.guest") {
			inside = human(u.Memory.Guest)
		}
		rows = append(rows, []string{"memory inside", inside})
	}
	for i, d := range u.Disks {
		at, counters, size := fmt.Sprintf("disks[%d]", i), unknown, unknown
		if u.Known(at) {
			counters = fmt.Sprintf("read %s in %d, written %s in %d", human(d.Read), d.Reads, human(d.Written), d.Writes)
		}
		if u.Known(at + ".allocated") {
			size = human(d.Allocated)
		}
		if u.Live() {
			rows = append(rows, []string{"disk " + d.Target, counters})
		}
		rows = append(rows, []string{"disk " + d.Target + " takes up", size})
	}
	for i, n := range u.NICs {
		counters := unknown
		if u.Known(fmt.Sprintf("nics[%d]", i)) {
			counters = fmt.Sprintf("in %s in %d packets, %d dropped; out %s in %d packets, %d dropped",
				human(n.In), n.PacketsIn, n.DropsIn, human(n.Out), n.PacketsOut, n.DropsOut)
		}
		rows = append(rows, []string{"nic " + strconv.Itoa(i), counters})
	}
	for _, n := range u.Unread {
		rows = append(rows, []string{"not read: " + n.Path, n.Reason})
	}
	return rows
}

// cpuTime of a guest that is on, for a table.
func cpuTime(u *provision.Usage) string {
	switch {
	case u == nil:
		return ""
	case !u.Known("cpu"):
		return unknown
	}
	return u.CPU.Round(time.Second / 10).String()
}

// inUse is what a guest that is on takes up of the host's memory, for a table.
func inUse(u *provision.Usage) string {
	switch {
	case u == nil:
		return ""
	case !u.Known("memory.host"):
		return unknown
	}
	return human(u.Memory.Host)
}

// addressesOf shows who says which addresses a guest has.
func addressesOf(ctx context.Context, c *command) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	all, err := g.Addresses(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(all)
	}
	rows := [][]string{{"ADDRESS", "SOURCE", "MAC"}}
	for _, a := range all.Found {
		rows = append(rows, []string{a.Address.String(), string(a.Source), a.MAC.String()})
	}
	for _, f := range all.Failed {
		rows = append(rows, []string{"", string(f.Source), f.Reason})
	}
	return c.table(rows...)
}
