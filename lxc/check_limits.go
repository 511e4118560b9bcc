package lxc

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
)

// tunableTable has limits that all guests share, and what hosts of many containers set
// them to: https://documentation.ubuntu.com/lxd/en/stable-5.21/reference/server_settings/.
var tunableTable = []struct {
	name     string
	enough   uint64
	severity provision.Severity // of less
	lost     string
}{
	// Instances of guests count for the user who made their namespace too: root.
	// Measured with Linux 6.18 and 128: one guest had 100, and the next got 28.
	{"fs.inotify.max_user_instances", 1 << 20, cautions, "services of guests fail with \"too many open files\""},
	{"fs.inotify.max_user_watches", 1 << 20, informs, "services of guests fail with \"no space left on device\""},
	{"fs.inotify.max_queued_events", 1 << 20, informs, "services of guests miss changes of files"},
	{"kernel.keys.maxkeys", 2000, informs, "guests that share IDs do not start services"},
	{"kernel.keys.maxbytes", 2_000_000, informs, "guests that share IDs do not start services"},
	{"net.ipv4.neigh.default.gc_thresh3", 8192, informs, "many guests on a bridge lose their neighbours"},
	{"net.ipv6.neigh.default.gc_thresh3", 8192, informs, "many guests on a bridge lose their neighbours"},
	{"fs.aio-max-nr", 524_288, informs, "databases in guests do not start"},
	{"vm.max_map_count", 262_144, informs, "search engines and databases in guests do not start"},
}

func (e *examination) tunables(context.Context) []provision.Finding {
	var list []provision.Finding
	for _, t := range tunableTable {
		check := strings.NewReplacer(".", "-", "_", "-").Replace(t.name)
		text := e.text("proc/sys/" + strings.ReplaceAll(t.name, ".", "/"))
		value, err := strconv.ParseUint(text, 10, 64)
		switch {
		case err != nil:
			list = append(list, unknown(check, informs, t.name+" is enough for many guests", "it cannot be read", "sysctl "+t.name))
		case value < t.enough:
			list = append(list, lacks(check, t.severity, t.name+" is low for many guests: "+t.lost, text, fmt.Sprintf("sysctl -w %s=%d, and the same in /etc/sysctl.d", t.name, t.enough)))
		default:
			list = append(list, has(check, t.name+" is enough for many guests", text))
		}
	}
	return list
}

// usage compares what is in use of shared tables with what may be.
func (e *examination) usage(context.Context) []provision.Finding {
	return []provision.Finding{
		e.used("processes", "processes", parseTasks(e.text("proc/loadavg")), min(e.number("proc/sys/kernel/pid_max"), e.number("proc/sys/kernel/threads-max")), "kernel.pid_max and kernel.threads-max"),
		e.used("open-files", "open files", e.firstNumber("proc/sys/fs/file-nr", 10), e.number("proc/sys/fs/file-max"), "fs.file-max"),
		e.used("neighbours-ipv4", "neighbours (ARP)", e.firstNumber("proc/net/stat/arp_cache", 16), e.number("proc/sys/net/ipv4/neigh/default/gc_thresh3"), "net.ipv4.neigh.default.gc_thresh3"),
		e.used("neighbours-ipv6", "neighbours (ND)", e.firstNumber("proc/net/stat/ndisc_cache", 16), e.number("proc/sys/net/ipv6/neigh/default/gc_thresh3"), "net.ipv6.neigh.default.gc_thresh3"),
	}
}

// used: more than four fifths is a warning. Zero of most is not to be known.
func (e *examination) used(check, what string, now, most uint64, setting string) provision.Finding {
	seen := fmt.Sprintf("%d of %d", now, most)
	switch {
	case most == 0:
		return unknown(check, informs, "there is room for more "+what, "/proc does not tell", "sysctl "+setting)
	case now > most/5*4:
		return lacks(check, cautions, "there is room for few more "+what+" of all guests together", seen, "raise "+setting)
	}
	return has(check, "there is room for more "+what, seen)
}

func (e *examination) number(file string) uint64 { return e.firstNumber(file, 10) }

// firstNumber reads the first number of the last line: tables in /proc/net/stat have
// a heading. It is 0 where there is none.
func (e *examination) firstNumber(file string, base int) uint64 {
	lines := strings.Split(e.text(file), "\n")
	if f := strings.Fields(lines[len(lines)-1]); len(f) > 0 {
		if v, err := strconv.ParseUint(f[0], base, 64); err == nil {
			return v
		}
	}
	return 0
}

// parseTasks returns how many tasks there are, of "0.05 0.31 1.77 1/203 4711".
func parseTasks(text string) uint64 {
	f := strings.Fields(text)
	if len(f) < 4 {
		return 0
	}
	_, all, _ := strings.Cut(f[3], "/")
	n, err := strconv.ParseUint(all, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
