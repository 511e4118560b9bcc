package domainxml

var memoryRules = []Rule{balloonGuaranteed, balloonStats, memoryLockedLimit, memoryHardLimit, memoryKSM}

// balloonGuaranteed finds guests that were promised their memory, and can lose it
// to the balloon. Where a document has no memballoon, libvirt adds a VirtIO one.
//
// Source: https://libvirt.org/formatdomain.html#memory-balloon-device
var balloonGuaranteed = Rule{
	ID: "balloon-guaranteed", Severity: SeverityWarning,
	Title:  "a balloon in a guest whose memory is its own",
	Why:    "The host can take back memory that was promised to the guest, and sold.",
	Source: "https://libvirt.org/formatdomain.html#memory-balloon-device",
	Fails:  `<memory>1048576</memory><memoryBacking><hugepages/></memoryBacking><devices><memballoon model='virtio'/></devices>`,
	Passes: `<memory>1048576</memory><memoryBacking><hugepages/></memoryBacking><devices><memballoon model='none'/></devices>`,
	check: func(l *linter) {
		if !l.promised() || !l.hasBalloon() {
			return
		}
		n := l.balloon()
		f := l.report(n, "there is a balloon%s, and the guest's memory is to be its own", l.shortened())
		if l.opts.Guaranteed {
			f.Severity = SeverityError
		}
		f.Fix = []Edit{Set(l.device("memballoon/@model"), "none")}
		// Without it, libvirt takes all of the memory.
		if current := l.child(l.root, "currentMemory"); current != 0 {
			f.Fix = append(f.Fix, Remove(l.path(current, "")))
		}
		f.Caution = "From its next start on, the guest holds all of its memory, which can no longer change while it runs: see that the host has it."
	},
}

// promised says whether the guest's memory is to be its own.
func (l *linter) promised() bool {
	backing := l.child(l.root, "memoryBacking")
	return l.qemu() && (l.opts.Guaranteed ||
		backing != 0 && (l.child(backing, "locked") != 0 || l.child(backing, "hugepages") != 0))
}

// balloon returns the device, or what is to be named in its place.
func (l *linter) balloon() id {
	if l.devices == 0 {
		return l.root
	}
	if n := l.child(l.devices, "memballoon"); n != 0 {
		return n
	}
	return l.devices
}

func (l *linter) hasBalloon() bool { return l.get(l.balloon(), "model") != "none" }

// shortened says that the guest begins with less than all of its memory.
func (l *linter) shortened() string {
	if now := l.amount("currentMemory"); now > 0 && now < l.amount("memory") {
		return ", which holds part of the memory"
	}
	return ""
}

// amount is memory in bytes, below the domain; 0 if nothing can be said of it.
func (l *linter) amount(name string) uint64 {
	n := l.child(l.root, name)
	if n == 0 {
		return 0
	}
	v, _ := scaled(l.whole(n), l.get(n, "unit"))
	return v
}

// balloonStats finds balloons that do not ask the guest how it is.
//
// Source: https://libvirt.org/formatdomain.html#memory-balloon-device (stats), and
// virDomainMemoryStats in https://libvirt.org/html/libvirt-libvirt-domain.html
var balloonStats = Rule{
	ID: "balloon-stats", Severity: SeverityInfo,
	Title:  "a balloon that does not tell how much memory is used",
	Why:    "What the host says of memory used and free in the guest stays as it was at the start, or is missing.",
	Source: "https://libvirt.org/formatdomain.html#memory-balloon-device",
	Fails:  `<devices><memballoon model='virtio'/></devices>`,
	Passes: `<devices><memballoon model='virtio'><stats period='10'/></memballoon></devices>`,
	check: func(l *linter) {
		if !l.qemu() || l.promised() || !l.hasBalloon() {
			return
		}
		n := l.balloon()
		if period := l.deep(n, "period", "stats"); period != "" && period != "0" {
			return
		}
		f := l.report(n, "the balloon gathers no statistics")
		f.Fix = []Edit{Set(l.device("memballoon/stats/@period"), "10")}
		if n == l.root || n == l.devices {
			f.Fix = append(f.Fix, Set(l.device("memballoon/@model"), "virtio"))
		}
	},
}

// memoryLockedLimit finds memory that is locked without an end: libvirt then lifts
// the limit of QEMU, and advises to set hard_limit. There is no fix, as QEMU's own
// share cannot be known, and a limit too low kills the guest.
//
// Source: https://libvirt.org/formatdomain.html#memory-backing (locked)
var memoryLockedLimit = Rule{
	ID: "memory-locked-limit", Severity: SeverityWarning,
	Title:  "locked memory without a limit",
	Why:    "A guest that makes QEMU take memory takes all of the host's, and none of it can be swapped out.",
	Source: "https://libvirt.org/formatdomain.html#memory-backing",
	Fails:  `<memoryBacking><locked/></memoryBacking>`,
	Passes: `<memtune><hard_limit unit='GiB'>5</hard_limit></memtune><memoryBacking><locked/></memoryBacking>`,
	check: func(l *linter) {
		locked := l.down(l.root, "memoryBacking", "locked")
		if l.qemu() && locked != 0 && l.down(l.root, "memtune", "hard_limit") == 0 {
			l.report(locked, "memory is locked, and memtune has no hard_limit")
		}
	},
}

// memoryHardLimit finds limits that leave QEMU no room: it counts the guest's memory
// and QEMU's own.
//
// Source: https://libvirt.org/formatdomain.html#memory-tuning (hard_limit)
var memoryHardLimit = Rule{
	ID: "memory-hard-limit", Severity: SeverityError,
	Title:  "a limit that is less than the guest's memory",
	Why:    "The kernel kills the guest when it has used its memory up, in the middle of whatever it does.",
	Source: "https://libvirt.org/formatdomain.html#memory-tuning",
	Fails:  `<memory unit='GiB'>8</memory><memtune><hard_limit unit='GiB'>5</hard_limit></memtune>`,
	Passes: `<memory unit='GiB'>4</memory><memtune><hard_limit unit='GiB'>5</hard_limit></memtune>`,
	check: func(l *linter) {
		n := l.down(l.root, "memtune", "hard_limit")
		if n == 0 || !l.qemu() {
			return
		}
		limit, err := scaled(l.own(n), l.get(n, "unit"))
		if most := l.amount("memory"); err == nil && limit < most {
			l.report(n, "hard_limit is %d MiB, and the guest's memory %d MiB", limit>>20, most>>20)
		}
	},
}

// memoryKSM finds memory that is to be the guest's own, and is merged with that of
// others. Huge and shared pages never are.
//
// Source: https://libvirt.org/formatdomain.html#memory-backing (nosharepages) and
// https://docs.kernel.org/admin-guide/mm/ksm.html
var memoryKSM = Rule{
	ID: "memory-ksm", Severity: SeverityInfo,
	Title:  "memory of its own that the host may merge",
	Why:    "Pages merged with other guests' are copied at each write, when the host may have no memory left, and their timing tells neighbours what is in them.",
	Source: "https://libvirt.org/formatdomain.html#memory-backing",
	Fails:  `<memtune><hard_limit unit='GiB'>5</hard_limit></memtune><memoryBacking><locked/></memoryBacking>`,
	Passes: `<memtune><hard_limit unit='GiB'>5</hard_limit></memtune><memoryBacking><nosharepages/><locked/></memoryBacking>`,
	check: func(l *linter) {
		backing := l.child(l.root, "memoryBacking")
		if !l.promised() {
			return
		}
		at := l.root
		if backing != 0 {
			if l.child(backing, "hugepages") != 0 || l.child(backing, "nosharepages") != 0 ||
				l.deep(backing, "mode", "access") == "shared" {
				return
			}
			at = backing
		}
		f := l.report(at, "there is no nosharepages")
		f.Fix = []Edit{Set(l.path(l.root, "memoryBacking/nosharepages"), "")}
	},
}
