package kvm

import (
	"context"

	"github.com/guestforge/provision"
)

// fast are sources of time that cost no exit to read: guests get their time from
// them too.
var fast = map[string]bool{"tsc": true, "kvm-clock": true, "hyperv_clocksource_tsc_page": true}

// clock: guests take the host's time at their start, and logs and bills have it.
func (e *examination) clock(context.Context) ([]provision.Finding, error) {
	var list []provision.Finding
	synced, err := e.synced()
	switch {
	case err != nil:
		list = fine("whether the clock follows a server is not known", err.Error())
	case !synced:
		list = warn("the clock does not follow a server", "the kernel says that it is not synchronised", "run chrony or systemd-timesyncd")
	default:
		list = fine("the clock follows a server", "")
	}
	const dir = "sys/devices/system/clocksource/clocksource0/"
	source := e.text(dir + "current_clocksource")
	switch {
	case source == "":
		list = append(list, fine("the kernel does not tell its source of time", "")...)
	case fast[source]:
		list = append(list, fine("the source of time is a fast one", source)...)
	default:
		list = append(list, warn("the source of time is slow to read, for the host and its guests", source+", of "+e.text(dir+"available_clocksource"),
			"look in the kernel's log for why the TSC was found unstable")...)
	}
	return list, nil
}
