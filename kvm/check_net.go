package kvm

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostfs"
)

// bridges looks for those that guests of ours are plugged into.
func (e *examination) bridges(ctx context.Context) ([]provision.Finding, error) {
	all, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	users := map[string][]string{}
	for _, f := range all {
		for _, n := range f.Status.NICs {
			if f.Record != nil && n.Bridge != "" && !slices.Contains(users[n.Bridge], f.Status.Name) {
				users[n.Bridge] = append(users[n.Bridge], f.Status.Name)
			}
		}
	}
	return e.judgeBridges(users), nil
}

func (e *examination) judgeBridges(users map[string][]string) []provision.Finding {
	var list []provision.Finding
	var there []string
	for _, name := range slices.Sorted(maps.Keys(users)) {
		guests := users[name]
		slices.Sort(guests)
		dir := "sys/class/net/" + name
		switch {
		case !e.has(dir):
			list = append(list, provision.Finding{Severity: provision.SeverityError, Message: "there is no bridge " + name + ", and guests that have it do not start",
				Evidence: some(guests), Remedy: "make the bridge, in the network configuration of the host"})
		case !e.has(dir+"/bridge") && e.has(dir+"/device"): // a bridge of Open vSwitch has neither
			list = append(list, provision.Finding{Severity: provision.SeverityError, Message: name + " is a network card and no bridge, and guests that have it do not start",
				Evidence: some(guests), Remedy: "make a bridge of this name, with the card as a port"})
		case !up(e.text(dir + "/flags")):
			list = append(list, warn("the bridge "+name+" is down", some(guests), "ip link set "+name+" up, and the same in the network configuration of the host")...)
		default:
			there = append(there, fmt.Sprintf("%s (%d guests)", name, len(guests)))
		}
	}
	switch {
	case len(there) > 0:
		list = append(fine("bridges of guests are there", some(there)), list...)
	case len(users) == 0:
		list = fine("no guest has a bridge", "")
	}
	return list
}

// up reads the flags of a network device; IFF_UP is the first (netdevice(7)).
func up(flags string) bool {
	v, err := strconv.ParseUint(flags, 0, 32)
	return err != nil || v&1 != 0
}

// vhost: without it, QEMU itself copies each frame.
func (e *examination) vhost(context.Context) ([]provision.Finding, error) {
	if !e.has("dev/vhost-net") {
		return warn("there is no /dev/vhost-net: QEMU copies each frame by itself, which costs much of the processor", "", "load the module vhost_net, at each boot"), nil
	}
	return fine("the kernel carries the frames of guests", "/dev/vhost-net"), nil
}

// shapers are what libvirt's limits of rates take of the kernel (virnetdevbandwidth.c).
// Without one, a guest with such a limit does not start.
var shapers = []struct{ option, module string }{
	{"CONFIG_NET_SCH_HTB", "sch_htb"},
	{"CONFIG_NET_SCH_SFQ", "sch_sfq"},
	{"CONFIG_NET_SCH_INGRESS", "sch_ingress"},
	{"CONFIG_NET_CLS_U32", "cls_u32"},
	{"CONFIG_NET_CLS_FW", "cls_fw"},
	{"CONFIG_NET_ACT_POLICE", "act_police"},
}

func (e *examination) qdiscs(context.Context) ([]provision.Finding, error) {
	config, kernel := e.kernelConfig()
	files := e.text("lib/modules/"+kernel+"/modules.dep") + "\n" + e.text("lib/modules/"+kernel+"/modules.builtin")
	var have, lost []string
	for _, s := range shapers {
		found := strings.Contains(files, "/"+s.module+".ko")
		switch setting(config, s.option) {
		case "y":
			found = true
		case "m":
			// The file may be in an image that only boots; where there is a list, it counts.
			found = found || strings.TrimSpace(files) == ""
		}
		if found {
			have = append(have, s.module)
		} else {
			lost = append(lost, s.module)
		}
	}
	switch {
	case config == "" && strings.TrimSpace(files) == "":
		return fine("what the kernel has to limit rates is not known", "kernel "+kernel+": neither its configuration nor a list of its modules"), nil
	case lost != nil:
		return warn("the kernel cannot limit the rates of NICs: guests with such limits do not start", "kernel "+kernel+" has no "+some(lost),
			"install the modules of the kernel (on Debian, not the cloud kernel; on RHEL, kernel-modules-extra)"), nil
	}
	return fine("the kernel can limit the rates of NICs", some(have)), nil
}

// kernelConfig returns the configuration of the running kernel, where it is to be
// had, and its version.
func (e *examination) kernelConfig() (config, kernel string) {
	kernel = e.text("proc/sys/kernel/osrelease")
	if text := hostfs.Unzipped(e.raw("proc/config.gz")); len(text) > 0 {
		return string(text), kernel
	}
	return e.text("boot/config-" + kernel), kernel
}

var optionRE = regexp.MustCompile(`(?m)^(CONFIG_[A-Z0-9_]+)=([ym])$`)

func setting(config, option string) string {
	for _, m := range optionRE.FindAllStringSubmatch(config, -1) {
		if m[1] == option {
			return m[2]
		}
	}
	return ""
}
