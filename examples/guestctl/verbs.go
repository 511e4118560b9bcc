package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
)

// verb is one thing that guestctl can do.
type verb struct {
	name  string // one word or two
	args  string // as the usage shows them
	min   int    // number of arguments
	max   int
	about string
	flags func(*options, *flag.FlagSet) // beside the common ones
	run   func(context.Context, *command) error
}

// many is the maximum of a verb that takes any number of arguments.
const many = math.MaxInt

// verbs returns all verbs, in the order of the usage.
func verbs() []verb {
	return []verb{
		{"check", "", 0, 0, "examine this machine; exit code 8 if guests cannot run", (*options).checkFlags, check},
		{"lint", "[FILE…]", 0, many, "judge libvirt domain XML; exit code 8 if there is an error among the findings", (*options).lintFlags, lint},
		{"image import", "NAME PATH", 2, 2, "copy an image into the store: of a disk, or for lxc a root file system, as a tarball or a directory", (*options).formatFlags, imageImport},
		{"image list", "", 0, 0, "list the images", nil, imageList},
		{"image rm", "NAME", 1, 1, "remove an image that no guest was made from", nil, imageRemove},
		{"plan", "-f FILE", 0, 0, "say what create would do and what differs; change nothing", (*options).planFlags, plan},
		{"render", "-f FILE", 0, 0, "print the hypervisor's configuration of guests as create would make it; change nothing", (*options).fileFlag, render},
		{"create", "-f FILE", 0, 0, "make guests; nothing is made unless all documents can be", (*options).createFlags, create},
		{"resize", "-f FILE", 0, 0, "give guests the sizes and limits of FILE; anything else that differs is refused", (*options).resizeFlags, resize},
		{"list", "", 0, 0, "list all guests", nil, list},
		{"status", "NAME", 1, 1, "show one guest", nil, status},
		{"usage", "NAME", 1, 1, "show what a guest has used since it was started", nil, usageOf},
		{"addresses", "NAME", 1, 1, "show the addresses of a guest, who says so, and why others do not", nil, addressesOf},
		{"start", "NAME", 1, 1, "start a guest", nil, start},
		{"stop", "NAME", 1, 1, "ask a guest to shut down, and kill it if it does not", (*options).stopFlags, stop},
		{"restart", "NAME", 1, 1, "stop a running guest and start it", (*options).stopFlags, restart},
		{"wait", "NAME -for WHAT", 1, 1, "wait until a guest is in a state, can run programs, has an address, or is gone; -timeout bounds it", (*options).waitFlags, wait},
		{"pause", "NAME", 1, 1, "freeze a running guest in memory", nil, pause},
		{"resume", "NAME", 1, 1, "let a paused guest go on", nil, resume},
		{"suspend", "NAME -reason REASON", 1, 1, "stop a guest and keep it off", (*options).suspendFlags, suspend},
		{"unsuspend", "NAME -reason REASON", 1, 1, "lift a reason; with the last one all is as before", (*options).reasonFlag, unsuspend},
		{"snapshot create", "NAME SNAPSHOT", 2, 2, "keep the disks of a guest as they are now", nil, snapshotCreate},
		{"snapshot list", "NAME", 1, 1, "list the snapshots of a guest", nil, snapshotList},
		{"snapshot restore", "NAME SNAPSHOT", 2, 2, "put the disks of a guest that is off back as they were; what was written since is lost", nil, snapshotRestore},
		{"snapshot delete", "NAME SNAPSHOT", 2, 2, "remove a snapshot; one that is not there is success", nil, snapshotDelete},
		{"delete", "NAME", 1, 1, "remove a guest with its disks; one that is not there is success", (*options).deleteFlags, remove},
		{"console", "NAME", 1, 1, "print what a guest wrote to its console, or with -i connect to it", (*options).consoleFlags, console},
		{"exec", "NAME [--] PROGRAM [ARGUMENT…]", 2, many, "run a program in a guest; exit code 9 if it fails", (*options).execFlags, execute},
		{"labels", "NAME [KEY=VALUE…]", 1, many, "replace all labels of a guest, or show them", (*options).labelFlags, labels},
		{"autostart", "NAME on|off", 2, 2, "say whether a guest starts with its host", nil, autostart},
		{"orphans", "[NAME…]", 0, many, "list what is left of guests and images that are gone, and why it is believed to be; remove it if told", (*options).orphanFlags, orphans},
		{"events", "", 0, 0, "print changes of guests until interrupted; with -json one object a line", nil, events},
	}
}

// findVerb takes the verb off the front of the arguments.
func findVerb(args []string) (*verb, []string) {
	for _, v := range verbs() {
		words := strings.Fields(v.name)
		if len(args) >= len(words) && v.name == strings.Join(args[:len(words)], " ") {
			return &v, args[len(words):]
		}
	}
	return nil, nil
}

// runsProgram: the last of the arguments are a program and what belongs to it.
func (v *verb) runsProgram() bool { return strings.Contains(v.args, "PROGRAM") }

// accepts checks what the flag set cannot.
func (v *verb) accepts(c *command) error {
	switch n := len(c.args); {
	case n < v.min || n > v.max:
		return fmt.Errorf("%s has %d arguments; it takes: %s", v.name, n, orNone(v.args))
	case strings.HasPrefix(v.args, "-f") && c.file == "":
		return fmt.Errorf("%s needs -f FILE", v.name)
	case strings.HasSuffix(v.args, "REASON") && c.reason == "":
		return fmt.Errorf("%s needs -reason REASON", v.name)
	case strings.HasSuffix(v.args, "WHAT") && c.wait.what == "":
		return fmt.Errorf("%s needs -for WHAT", v.name)
	case c.interactive && c.json:
		return fmt.Errorf("%s -i prints no JSON", v.name)
	}
	if err := c.lint.check(c); err != nil {
		return err
	}
	if err := c.orphan.check(c.args); err != nil {
		return err
	}
	return c.checkBackend()
}

// seeHelp is where to read on after a mistake.
func (v *verb) seeHelp() string { return "guestctl " + v.name + " -h tells how it is used.\n" }

// usage is the help for one verb.
func (v *verb) usage() string {
	var b strings.Builder
	f := newFlagSet()
	f.SetOutput(&b)
	line := strings.TrimSpace(v.name + " " + v.args)
	if v.flags != nil {
		v.flags(new(options), f)
		line += " [flags]"
	}
	fmt.Fprintf(&b, "usage: guestctl [flags] %s\n\n%s\n", line, v.about)
	if v.flags != nil {
		where := "before or after the arguments"
		if v.runsProgram() {
			where = "before PROGRAM; those behind it are its own"
		}
		fmt.Fprintf(&b, "\nFlags, %s:\n", where)
		f.PrintDefaults()
	}
	b.WriteString("\nguestctl -h shows the flags that all verbs have.\n")
	return b.String()
}

// usage is the help for guestctl.
func usage() string {
	var b strings.Builder
	b.WriteString("usage: guestctl [flags] VERB [arguments and flags]\n\nVerbs; guestctl VERB -h tells more:\n")
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, v := range verbs() {
		fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace(v.name+" "+v.args), v.about)
	}
	_ = w.Flush() // to memory
	b.WriteString("\nFlags, anywhere:\n")
	f := newFlagSet()
	f.SetOutput(&b)
	new(options).common(f)
	f.PrintDefaults()
	b.WriteString("\nExit codes:\n" + exitCodes)
	return b.String()
}
