package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/guestforge/provision"
)

func list(ctx context.Context, c *command) error {
	all := []provision.Status{} // in JSON no guests are [], not null
	opts := &provision.ListOptions{Usage: c.host.Supports(provision.FeatureUsage) == nil}
	for st, err := range c.host.Guests(ctx, opts) {
		if err != nil {
			return err
		}
		all = append(all, st)
	}
	if c.json {
		return c.document(all)
	}
	rows := [][]string{{"NAME", "STATE", "CPUS", "MEMORY", "IMAGE", "ADDRESSES", "CPU TIME", "IN USE", "NOTE"}}
	for _, st := range all {
		rows = append(rows, []string{
			st.Name, string(st.State), orDash(st.CPUs, strconv.Itoa), orDash(st.Memory, human), st.Image, joined(st.Addresses), cpuTime(st.Usage), inUse(st.Usage), note(st),
		})
	}
	return c.table(rows...)
}

// note is what a person should know of a guest at first sight.
func note(st provision.Status) string {
	var list []string
	if !st.Managed {
		list = append(list, "not managed")
	}
	if len(st.Suspended) > 0 {
		list = append(list, "suspended for "+joined(st.Suspended))
	}
	if st.Reason != "" {
		list = append(list, st.Reason)
	}
	return joined(list)
}

func status(ctx context.Context, c *command) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	st, err := g.Status(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(st)
	}
	return c.table(statusRows(st)...)
}

func statusRows(st provision.Status) [][]string {
	rows := [][]string{
		{"name", st.Name}, {"id", string(st.ID)}, {"key", st.Key}, {"state", string(st.State)}, {"note", note(st)},
		{"image", st.Image}, {"cpus", orDash(st.CPUs, strconv.Itoa)}, {"memory", orDash(st.Memory, human)},
		{"autostart", strconv.FormatBool(st.Autostart)}, {"addresses", joined(st.Addresses)},
	}
	for _, d := range st.Disks {
		rows = append(rows, []string{"disk " + d.Target, fmt.Sprintf("%s %s", orDash(d.Size, human), d.Source)})
	}
	for i, n := range st.NICs {
		rows = append(rows, []string{fmt.Sprintf("nic %d", i), fmt.Sprintf("%s on %s %s", n.MAC, n.Bridge, n.Device)})
	}
	for _, l := range st.Limits {
		rows = append(rows, []string{"limit " + l.Path, fmt.Sprintf("%s %s %s", cmp.Or(l.Want, l.Have, "-"), l.Enforcement, l.Reason)})
	}
	rows = append(rows, labelRows(st.Labels)...)
	if !st.Created.IsZero() {
		rows = append(rows, []string{"created", st.Created.Format(time.RFC3339)})
	}
	return slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
}

func labelRows(labels map[string]string) (rows [][]string) {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		rows = append(rows, []string{"label " + name, plain(labels[name])})
	}
	return rows
}

// remove deletes a guest. The handle does not exist without the guest, so that
// it is gone already shows at the look-up.
func remove(ctx context.Context, c *command) error {
	result := "deleted"
	g, err := c.guest(ctx)
	switch {
	case errors.Is(err, provision.ErrNotFound):
		result = "was not there"
	case err == nil:
		err = g.Delete(ctx, &provision.DeleteOptions{Force: c.force})
		fallthrough
	default:
		if err != nil {
			return err
		}
	}
	if c.json {
		return c.document(map[string]string{"name": c.args[0], "result": result})
	}
	return c.say("%s: %s", c.args[0], result)
}
