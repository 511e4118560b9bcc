package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options are the flags, of guestctl itself and of its verbs.
type options struct {
	backend   string
	json      bool
	uri       string
	pool      string
	emulate   bool
	lxcPath   string
	state     string
	lockDir   string
	residency string
	timeout   time.Duration

	format string
	sha256 string
	file   string
	start  bool
	drift  bool
	clear  bool
	force  bool
	grace  time.Duration
	reason string
	lint   lintOptions
	orphan orphanOptions
	wait   waitOptions

	atRestart   bool
	interactive bool
	exec        execOptions
}

// common declares the flags that every verb has. What was set before stays, so
// that they may stand on both sides of the verb.
func (o *options) common(f *flag.FlagSet) {
	if o.backend == "" {
		o.backend = "kvm"
	}
	f.StringVar(&o.backend, "backend", o.backend, "`NAME` of the backend: kvm, lxc, openvz, or sim, which simulates one")
	f.BoolVar(&o.json, "json", o.json, "print one JSON document, and errors as a JSON object")
	f.StringVar(&o.uri, "uri", o.uri, "kvm: `URI` of libvirtd, as qemu+unix:///system?socket=PATH (default qemu:///system)")
	f.StringVar(&o.pool, "pool", o.pool, "kvm: `NAME` of the storage pool (default default)")
	f.BoolVar(&o.emulate, "emulate", o.emulate, "kvm: run new guests in software, without KVM; slow, for tests")
	f.StringVar(&o.lxcPath, "lxcpath", o.lxcPath, "lxc: `DIR` that containers are in (default /var/lib/lxc)")
	f.StringVar(&o.state, "state", o.state, "sim: `FILE` that keeps the simulated machine")
	f.StringVar(&o.lockDir, "lockdir", o.lockDir, "`DIR` for lock files, the same for all programs on this machine (default /run/provision)")
	f.StringVar(&o.residency, "residency", o.residency, "country `CODE` that this host is in, as NO")
	f.DurationVar(&o.timeout, "timeout", o.timeout, "give up after this `TIME`, as 90s (default never)")
}

func (o *options) formatFlags(f *flag.FlagSet) {
	f.StringVar(&o.format, "format", "", "`FORMAT` of the image: qcow2 or raw for kvm; tar, tar.gz, tar.xz or tar.zst for lxc (default by extension; .img is raw, .tgz and .txz are known)")
	f.StringVar(&o.sha256, "sha256", "", "checksum that the image must have, in `HEX`")
}

func (o *options) fileFlag(f *flag.FlagSet) {
	f.StringVar(&o.file, "f", "", "`FILE` with one or several YAML documents; - is standard input")
}

func (o *options) createFlags(f *flag.FlagSet) {
	o.fileFlag(f)
	f.BoolVar(&o.start, "start", false, "start the guests too")
}

func (o *options) planFlags(f *flag.FlagSet) {
	o.fileFlag(f)
	f.BoolVar(&o.drift, "drift", false, "end with exit code 8 if a guest that is there differs")
}

func (o *options) resizeFlags(f *flag.FlagSet) {
	o.fileFlag(f)
	f.BoolVar(&o.atRestart, "at-restart", false, "take also what a guest that is on has only from its next start")
}

func (o *options) stopFlags(f *flag.FlagSet) {
	f.DurationVar(&o.grace, "grace", 0, "`TIME` that the guest has to shut down before it is killed (default 1m)")
	f.BoolVar(&o.force, "force", false, "kill the guest at once")
}

func (o *options) suspendFlags(f *flag.FlagSet) {
	o.reasonFlag(f)
	o.stopFlags(f)
}

func (o *options) reasonFlag(f *flag.FlagSet) {
	f.StringVar(&o.reason, "reason", "", "`REASON` in one word, as payment (required)")
}

func (o *options) deleteFlags(f *flag.FlagSet) {
	f.BoolVar(&o.force, "force", false, "kill a guest that is on")
}

func (o *options) consoleFlags(f *flag.FlagSet) {
	f.BoolVar(&o.interactive, "i", false, "connect to the console, line by line, until the input ends (Ctrl-D) or the guest goes off")
	f.BoolVar(&o.force, "force", false, "with -i: disconnect who is connected")
}

func (o *options) execFlags(f *flag.FlagSet) {
	f.BoolVar(&o.exec.stdin, "i", false, "give the program our standard input, up to its end")
	f.BoolVar(&o.exec.tty, "t", false, "give the program a terminal, whose output is shown as it comes, and as a console's")
	f.StringVar(&o.exec.user, "user", "", "`NAME` of the user that the program runs as (default root)")
	f.StringVar(&o.exec.dir, "dir", "", "`PATH` of the directory that it begins in")
	f.Func("env", "`NAME=VALUE` to add to its environment; may be given several times", func(s string) error {
		o.exec.env = append(o.exec.env, s)
		return nil
	})
}

func (o *options) labelFlags(f *flag.FlagSet) {
	f.BoolVar(&o.clear, "clear", false, "remove all labels")
}

// parse reads the command line: flags, a verb, and what belongs to it.
func (c *command) parse(args []string) error {
	f := newFlagSet()
	c.common(f)
	if err := f.Parse(args); err != nil {
		return c.misuse(err, args, usage, seeUsage)
	}
	if f.NArg() == 0 {
		return c.misuse(errors.New("a verb is required"), args, usage, "\n"+usage())
	}
	var rest []string
	if c.verb, rest = findVerb(f.Args()); c.verb == nil {
		return c.misuse(fmt.Errorf("%q is not a verb", f.Arg(0)), args, usage, seeUsage)
	}
	f = newFlagSet()
	c.common(f)
	if c.verb.flags != nil {
		c.verb.flags(&c.options, f)
	}
	err := c.mixed(f, rest)
	if err == nil {
		err = c.verb.accepts(c)
	}
	if err != nil {
		return c.misuse(err, args, c.verb.usage, c.verb.seeHelp())
	}
	return nil
}

const seeUsage = "guestctl -h lists the verbs and flags.\n"

func newFlagSet() *flag.FlagSet {
	f := flag.NewFlagSet("guestctl", flag.ContinueOnError)
	f.SetOutput(io.Discard) // misuse says it
	f.Usage = func() {}
	return f
}

// mixed parses flags that stand before, between or after arguments; package
// flag would end at the first argument. After "--" there are no flags, and none
// after a program, whose flags they are.
func (c *command) mixed(f *flag.FlagSet, args []string) error {
	for {
		if err := f.Parse(args); err != nil {
			return err
		}
		rest := f.Args()
		if parsed := len(args) - len(rest); parsed > 0 && args[parsed-1] == "--" {
			c.args = append(c.args, rest...)
			return nil
		}
		if len(rest) == 0 {
			return nil
		}
		c.args, args = append(c.args, rest[0]), rest[1:]
		if c.verb.runsProgram() && len(c.args) == c.verb.min {
			c.args = append(c.args, args...)
			return nil
		}
	}
}

// misuse makes of what is wrong with the command line, or of a wish for help,
// the error that run expects. hint is printed below the mistake: the whole usage
// would hide it.
func (c *command) misuse(err error, args []string, usage func() string, hint string) error {
	if errors.Is(err, flag.ErrHelp) {
		return helpWanted{usage()}
	}
	// The flag may stand behind the mistake.
	c.json = c.json || slices.ContainsFunc(args, func(a string) bool { return strings.TrimLeft(a, "-") == "json" && a != "json" })
	return usageError{err.Error(), hint}
}

// helpWanted is the answer to -h.
type helpWanted struct{ text string }

func (h helpWanted) Error() string { return h.text }

// usageError is a mistake in the command line.
type usageError struct{ problem, hint string }

func (u usageError) Error() string { return u.problem }
