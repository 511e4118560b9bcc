package lxc

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/guestforge/provision"
)

// feature is something that the kernel has or has not.
type feature struct {
	check          string
	what           string             // "the kernel has " what
	lost           string             // what there is not without it
	severity       provision.Severity // of its absence
	option, module string             // of the kernel's configuration
	file           string             // that shows it, in a directory that is there anyway
	fstype         string             // in /proc/filesystems
	link           string             // kind of network device, to be tried
	from, before   int                // versions of the kernel that have it under this name; 0 is no bound
}

const (
	informs  = provision.SeverityInfo
	cautions = provision.SeverityWarning
	fails    = provision.SeverityError
)

// What lxc-checkconfig calls "Namespaces".
var namespaceTable = []feature{
	{check: "namespaces", what: "namespaces", lost: "no guest starts", severity: fails, option: "CONFIG_NAMESPACES", file: "proc/self/ns/mnt"},
	{check: "namespace-uts", what: "UTS namespaces", lost: "no guest starts", severity: fails, option: "CONFIG_UTS_NS", file: "proc/self/ns/uts"},
	{check: "namespace-ipc", what: "IPC namespaces", lost: "no guest starts", severity: fails, option: "CONFIG_IPC_NS", file: "proc/self/ns/ipc"},
	{check: "namespace-pid", what: "PID namespaces", lost: "no guest starts", severity: fails, option: "CONFIG_PID_NS", file: "proc/self/ns/pid"},
	{check: "namespace-user", what: "user namespaces", lost: "guests are possible only with privileges", severity: fails, option: "CONFIG_USER_NS", file: "proc/self/ns/user"},
	{check: "namespace-net", what: "network namespaces", lost: "no guest starts", severity: fails, option: "CONFIG_NET_NS", file: "proc/self/ns/net"},
	{check: "namespace-cgroup", what: "cgroup namespaces", lost: "guests see the control groups of the host", severity: cautions, option: "CONFIG_CGROUPS", file: "proc/self/ns/cgroup"},
	{check: "devpts", what: "instances of /dev/pts", lost: "guests share the terminals of the host", severity: fails, option: "CONFIG_DEVPTS_MULTIPLE_INSTANCES", before: 4007},
	{check: "file-capabilities", what: "capabilities of files", lost: "programs of guests have no rights of their own", severity: cautions, option: "CONFIG_SECURITY_FILE_CAPABILITIES", file: "proc/sys/kernel/cap_last_cap"},
}

// Kinds of network devices. The first is also what others are tried on.
var linkTable = []feature{
	{check: "veth", what: "pairs of virtual network devices", lost: "guests with NICs do not start", severity: fails, option: "CONFIG_VETH", module: "veth", link: "veth"},
	{check: "bridge", what: "bridges", lost: "guests cannot be plugged into one", severity: fails, option: "CONFIG_BRIDGE", module: "bridge", link: "bridge"},
	{check: "vlan", what: "VLANs", lost: "NICs of guests cannot have one", severity: cautions, option: "CONFIG_VLAN_8021Q", module: "8021q", link: "vlan"},
	{check: "macvlan", what: "macvlan devices", lost: "only guests with native settings miss them", severity: informs, option: "CONFIG_MACVLAN", module: "macvlan", link: "macvlan"},
	{check: "ifb", what: "devices to redirect to (IFB)", lost: "what guests send cannot be limited in rate", severity: cautions, option: "CONFIG_IFB", module: "ifb", link: "ifb"},
}

// What filters and shapes frames, and files that guests are given.
var filterTable = []feature{
	{check: "netfilter-advanced", what: "advanced netfilter", lost: "rules for the networks of guests may be refused", severity: informs, option: "CONFIG_NETFILTER_ADVANCED"},
	{check: "nat-ipv4", what: "NAT of IPv4", lost: "guests behind NAT reach nothing", severity: informs, option: "CONFIG_NF_NAT_IPV4", module: "nf_nat_ipv4", from: 4007, before: 5000},
	{check: "nat-ipv6", what: "NAT of IPv6", lost: "guests behind NAT reach nothing", severity: informs, option: "CONFIG_NF_NAT_IPV6", module: "nf_nat_ipv6", from: 4007, before: 5000},
	{check: "masquerade-ipv4", what: "iptables MASQUERADE for IPv4", lost: "the network lxcbr0 of lxc-net reaches nothing with iptables", severity: informs, option: "CONFIG_IP_NF_TARGET_MASQUERADE", module: "ipt_MASQUERADE"},
	{check: "masquerade-ipv6", what: "iptables MASQUERADE for IPv6", lost: "the network lxcbr0 of lxc-net reaches nothing with ip6tables", severity: informs, option: "CONFIG_IP6_NF_TARGET_MASQUERADE", module: "ip6t_MASQUERADE"},
	{check: "xt-checksum", what: "iptables CHECKSUM", lost: "old DHCP clients on lxcbr0 get no answer", severity: informs, option: "CONFIG_NETFILTER_XT_TARGET_CHECKSUM", module: "xt_CHECKSUM"},
	{check: "xt-comment", what: "iptables comments", lost: "rules with one are refused", severity: informs, option: "CONFIG_NETFILTER_XT_MATCH_COMMENT", module: "xt_comment"},
	{check: "nf-tables", what: "nftables", lost: "guests cannot be kept from using addresses that are not theirs", severity: cautions, option: "CONFIG_NF_TABLES", module: "nf_tables"},
	{check: "nf-tables-netdev", what: "nftables at the ingress of a device", lost: "guests cannot be kept from using addresses that are not theirs", severity: cautions, option: "CONFIG_NF_TABLES_NETDEV"},
	{check: "sch-tbf", what: "token buckets (sch_tbf)", lost: "NICs cannot be limited in rate", severity: cautions, option: "CONFIG_NET_SCH_TBF", module: "sch_tbf"},
	{check: "sch-ingress", what: "sch_ingress", lost: "what guests send cannot be limited in rate", severity: cautions, option: "CONFIG_NET_SCH_INGRESS", module: "sch_ingress"},
	{check: "act-mirred", what: "act_mirred", lost: "what guests send cannot be limited in rate", severity: cautions, option: "CONFIG_NET_ACT_MIRRED", module: "act_mirred"},
	{check: "cls-u32", what: "cls_u32", lost: "what guests send cannot be limited in rate", severity: cautions, option: "CONFIG_NET_CLS_U32", module: "cls_u32"},
	{check: "fuse", what: "FUSE", lost: "there is no lxcfs, and no guest can be given /dev/fuse", severity: informs, option: "CONFIG_FUSE_FS", module: "fuse", fstype: "fuse"},
	{check: "tun", what: "TUN", lost: "no guest can be given /dev/net/tun", severity: informs, option: "CONFIG_TUN", module: "tun"},
}

// What lxc-checkconfig calls "Checkpoint/Restore".
var checkpointTable = []feature{
	{check: "checkpoint-restore", what: "checkpoint and restore", option: "CONFIG_CHECKPOINT_RESTORE"},
	{check: "checkpoint-fhandle", what: "handles of files", option: "CONFIG_FHANDLE"},
	{check: "checkpoint-eventfd", what: "eventfd", option: "CONFIG_EVENTFD"},
	{check: "checkpoint-epoll", what: "epoll", option: "CONFIG_EPOLL"},
	{check: "checkpoint-unix-diag", what: "diagnosis of Unix sockets", option: "CONFIG_UNIX_DIAG", module: "unix_diag"},
	{check: "checkpoint-inet-diag", what: "diagnosis of TCP sockets", option: "CONFIG_INET_DIAG", module: "inet_diag"},
	{check: "checkpoint-packet-diag", what: "diagnosis of packet sockets", option: "CONFIG_PACKET_DIAG", module: "af_packet_diag"},
	{check: "checkpoint-netlink-diag", what: "diagnosis of netlink sockets", option: "CONFIG_NETLINK_DIAG", module: "netlink_diag"},
}

// applies says whether the kernel is of the versions that the feature is for.
func (f *feature) applies(version int) bool {
	if version == 0 {
		return f.from == 0 && f.before == 0
	}
	return version >= f.from && (f.before == 0 || version < f.before)
}

// probe asks the thing itself, then the configuration.
func (e *examination) probe(ctx context.Context, f *feature) (verdict, string) {
	if f.file != "" {
		if e.there(f.file) {
			return present, "/" + f.file
		}
		if e.there(path.Dir(f.file)) {
			return absent, "there is no /" + f.file
		}
	}
	if f.fstype != "" && e.filesystem(f.fstype) {
		return present, "/proc/filesystems has " + f.fstype
	}
	v, seen := e.option(f.option, f.module)
	if f.link == "" || !e.mayTry(f.option, f.module) {
		return v, seen
	}
	switch err := e.try.link(ctx, e.find("ip"), f.link); {
	case err == nil:
		return present, "one was made and removed; " + seen
	case isUntried(err):
		return v, seen + "; " + oneLine(err.Error())
	default:
		return absent, oneLine(err.Error()) + "; " + seen
	}
}

// judge makes the finding for a feature.
func (e *examination) judge(ctx context.Context, f *feature) provision.Finding {
	remedy := "boot a kernel with " + f.option
	switch v, seen := e.probe(ctx, f); v {
	case present, loadable:
		return has(f.check, "the kernel has "+f.what, seen)
	case notKnown:
		return unknown(f.check, f.severity, "the kernel has "+f.what, seen, "install its configuration as /boot/config-"+e.kernel.name)
	default:
		if f.module != "" && e.kernel.config[f.option] == "m" {
			remedy = "install the package that has the module " + f.module + " of this kernel"
		}
		return lacks(f.check, f.severity, "the kernel has no "+f.what+": "+f.lost, seen, remedy)
	}
}

func (e *examination) judgeAll(ctx context.Context, table []feature) []provision.Finding {
	var list []provision.Finding
	for i := range table {
		if f := &table[i]; f.applies(e.kernel.version) {
			list = append(list, e.judge(ctx, f))
		}
	}
	return list
}

func (e *examination) namespaces(ctx context.Context) []provision.Finding {
	return e.judgeAll(ctx, namespaceTable)
}

func (e *examination) links(ctx context.Context) []provision.Finding {
	return e.judgeAll(ctx, linkTable)
}

func (e *examination) filters(ctx context.Context) []provision.Finding {
	return e.judgeAll(ctx, filterTable)
}

func (e *examination) checkpoints(ctx context.Context) []provision.Finding {
	table := slices.Clone(checkpointTable)
	for i := range table {
		table[i].severity, table[i].lost = informs, "CRIU does not work; this library does not take it"
	}
	return e.judgeAll(ctx, table)
}

// filesystem says whether the kernel has a type of file systems, without loading it.
func (e *examination) filesystem(name string) bool {
	return slices.Contains(strings.Fields(e.text("proc/filesystems")), name)
}
