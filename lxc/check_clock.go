package lxc

import (
	"context"
	"slices"

	"github.com/guestforge/provision"
)

// clock: guests have the host's, and cannot set it; logs and bills have it.
func (e *examination) clock(context.Context) []provision.Finding {
	const check = "clock"
	var list []provision.Finding
	synced, err := e.try.synced()
	switch {
	case err != nil:
		list = append(list, unknown(check, cautions, "the clock follows a server", oneLine(err.Error()), "timedatectl"))
	case !synced:
		list = append(list, lacks(check, cautions, "the clock does not follow a server", "the kernel says that it is not synchronised", "run chrony or systemd-timesyncd"))
	default:
		list = append(list, has(check, "the clock follows a server", ""))
	}
	const dir = "sys/devices/system/clocksource/clocksource0/"
	source := e.text(dir + "current_clocksource")
	switch {
	case source == "":
		return append(list, unknown("clock-source", informs, "the source of time is a fast one", "the kernel does not tell it", "mount /sys"))
	case slices.Contains([]string{"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"}, source):
		return append(list, has("clock-source", "the source of time is a fast one", source))
	}
	return append(list, lacks("clock-source", cautions, "the source of time is slow to read, for the host and its guests", source+", of "+e.text(dir+"available_clocksource"),
		"look in the kernel's log for why the TSC was found unstable"))
}
