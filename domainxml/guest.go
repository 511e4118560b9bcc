package domainxml

// CPU says which processors a guest sees, and its share of the host's.
type CPU struct {
	// Model is "host-passthrough", "host-model", "maximum" or the name of a
	// model that libvirt knows. Default: host-model, and for an emulated guest
	// QEMU's own.
	Model string
	// Limit is how much processor time the guest may use, in thousandths of a
	// processor: 1500 is one and a half. It bounds the whole of QEMU, its
	// own threads included (global_quota; libvirt 1.3.3). Default: none.
	Limit uint64
	// Shares against other guests: cpu.shares of cgroup v1, cpu.weight of
	// v2. Default: libvirt sets none.
	Shares uint64
	// Pin lists the host's processors that the guest may run on, as libvirt
	// writes sets: "0-3,8". Default: all.
	Pin string
}

// Backing says what holds the memory of a guest.
type Backing struct {
	// Locked keeps all of it in RAM. HardLimit must then be set.
	Locked bool
	// HugePages takes it from the host's pool of huge pages of this size in
	// KiB. Default: ordinary pages.
	HugePages uint64
	// Allocated takes all of it when the guest starts, so that it fails then
	// or never.
	Allocated bool
	// NoMerge keeps the host from merging equal pages (KSM).
	NoMerge bool
	// NoBalloon leaves out the balloon device, by which a host can take memory
	// back. Default: a balloon that reports statistics every ten seconds.
	NoBalloon bool
	// HardLimit bounds the memory of the whole of QEMU, in bytes, rounded up
	// to KiB; a QEMU that needs more is killed. Default: none.
	HardLimit uint64
}

// Firmware is UEFI, chosen by libvirt from what the host has installed.
type Firmware struct {
	// NVRAM is the file of the guest's variables, which libvirt makes from the
	// firmware's template at the first start. Default: libvirt's choice.
	NVRAM string
	// SecureBoot demands firmware with keys enrolled, and system management
	// mode. Without it secure boot is off.
	SecureBoot bool
}

// Disk is a VirtIO disk of a domain; the first one is vda.
type Disk struct {
	Path     string // file or, with Block, device on the host
	Block    bool   // Path is a block device
	Format   string // "qcow2" or "raw": stated, never probed
	Serial   string // what the guest sees below /dev/disk/by-id; up to 20 characters
	Target   string // its name on the bus. Default: by its place, vda for the first
	ReadOnly bool
	// Cache is "none", "writeback", "writethrough", "directsync" or "unsafe".
	// Default: none, which goes around the host's page cache.
	Cache string
	// IO is "native", "threads" or "io_uring". Default: QEMU's, threads.
	IO string
	// DetectZeroes turns writes of zeroes into discards.
	DetectZeroes bool
	// NoDiscard keeps the guest's discards from the storage.
	NoDiscard bool
	// IOPS bounds the operations per second, reads and writes together.
	// Default: no bound.
	IOPS uint64
	// BPS bounds the bytes per second, reads and writes together. Default: no
	// bound.
	BPS uint64
}

// NIC is a VirtIO network card on a bridge.
type NIC struct {
	Bridge string
	MAC    string
	Device string // the host's side, up to 15 characters. Default: libvirt's choice
	// OpenVSwitch says that Bridge is one of Open vSwitch.
	OpenVSwitch bool
	// VLAN tag of its frames on the bridge, 1 to 4094. Default: untagged. On
	// a bridge of Linux itself this needs libvirt 11.0.
	VLAN int
	// Filter is the name of an nwfilter that frames have to pass.
	Filter string
	// Parameters of the filter, in this order; a name may come several times.
	Parameters []FilterParameter
	// Isolated ports of a bridge of Linux exchange no frames with one another.
	Isolated bool
	// MTU of both ends. Default: that of the bridge.
	MTU int
	// In and Out bound what the guest receives and sends, in KiB a second.
	// Default: no bound.
	In, Out uint64
	// Queues of packets, one for each processor that is to work on them. It
	// is part of what the guest sees. Default: one.
	Queues int
}

// FilterParameter is a variable of an nwfilter, "IP" for example.
type FilterParameter struct{ Name, Value string }

// Kernel of a direct boot: files on the host.
type Kernel struct {
	Image, Initrd, Cmdline string
}
