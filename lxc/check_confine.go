package lxc

import (
	"context"
	"slices"
	"strings"

	"github.com/guestforge/provision"
)

// confinement looks for what is around a guest beside its namespaces.
func (e *examination) confinement(context.Context) []provision.Finding {
	return append(e.apparmor(), e.seccomp())
}

func (e *examination) apparmor() []provision.Finding {
	const check = "apparmor"
	modules := e.text("sys/kernel/security/lsm")
	enabled := e.text("sys/module/apparmor/parameters/enabled")
	seen := "lsm: " + modules
	switch {
	case enabled == "Y" && e.find("apparmor_parser") == "":
		return []provision.Finding{lacks(check, fails, "AppArmor is on, but profiles of guests cannot be loaded, and no guest starts", "there is no apparmor_parser", "install the package apparmor")}
	case enabled == "Y":
		return []provision.Finding{has(check, "guests are confined by AppArmor", "/sys/module/apparmor, "+e.find("apparmor_parser"))}
	case slices.Contains(strings.Split(modules, ","), "selinux"):
		return []provision.Finding{has(check, "there is SELinux, for which liblxc has a context and this library makes no policy", seen)}
	}
	if modules == "" && enabled == "" {
		var v verdict
		if v, seen = e.option("CONFIG_SECURITY_APPARMOR", ""); v == notKnown && !e.there("sys/module") {
			return []provision.Finding{unknown(check, cautions, "guests are confined by AppArmor", seen, "mount /sys")}
		}
		seen += "; there is no /sys/module/apparmor"
	}
	return []provision.Finding{lacks(check, cautions, "nothing confines guests but namespaces, capabilities and seccomp: one with privileges owns the host", seen,
		"boot a kernel with AppArmor, and apparmor=1 security=apparmor on its command line")}
}

// seccomp: the actions of seccomp(2); "errno" is what the filters of liblxc answer
// with, and user_notif lets a manager answer for the kernel.
func (e *examination) seccomp() provision.Finding {
	const check, good = "seccomp", "system calls of guests can be filtered"
	actions := strings.Fields(e.text("proc/sys/kernel/seccomp/actions_avail"))
	switch {
	case slices.Contains(actions, "errno"):
		return has(check, good, strings.Join(actions, " "))
	case strings.Contains(e.text("proc/self/status"), "\nSeccomp:"):
		return has(check, good, "/proc/self/status")
	}
	v, seen := e.option("CONFIG_SECCOMP_FILTER", "")
	switch v {
	case present:
		return has(check, good, seen)
	case absent:
		return lacks(check, cautions, "system calls of guests cannot be filtered", seen, "boot a kernel with CONFIG_SECCOMP_FILTER")
	}
	return unknown(check, cautions, good, seen, "grep Seccomp /proc/self/status")
}
