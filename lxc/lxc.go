package lxc

import (
	"log/slog"
	"time"

	"github.com/guestforge/provision"
)

// kind is the name of this backend.
const kind = "lxc"

// Options of a [Backend]. The zero value is the system's own liblxc.
type Options struct {
	// LXCPath is the directory that containers are in, as lxc.lxcpath in
	// lxc.system.conf(5). Everybody must be able to search it and the directories
	// above (mode 0711 or more), because the first process of an unprivileged guest
	// looks its root up with the rights of a stranger. Others' containers in it are
	// listed, and never changed. Absolute, of [A-Za-z0-9._/-]. Default: /var/lib/lxc.
	LXCPath string
	// Start and Attach are the paths of lxc-start(1) and lxc-attach(1), of the same
	// version as the library. Default: /usr/bin/lxc-start and /usr/bin/lxc-attach.
	Start, Attach string
	// IDs is where the user and group ids of unprivileged guests come from.
	// Default: the ids between 1879048192 and 2147352575, which systemd's allocation
	// of ids leaves unused: 4,094 guests.
	IDs IDRange
	// IDDir is where it is written down which guest has which block of ids. Everybody
	// who makes guests on a machine has to use the same one, whatever the LXCPath, or
	// guests of two would get the same ids. It is made when it is needed, and has to
	// outlive the host's restart. Absolute. Default: /var/lib/provision/ids.
	IDDir string
	// Timeout of each call of liblxc, beside the context of the call. A call that
	// hangs longer, as when a guest's monitor process is stopped, is broken off.
	// Default: 10 seconds.
	Timeout time.Duration
	// StartTimeout bounds a start. Default: 1 minute.
	StartTimeout time.Duration
	// MemoryReserve is what is left for the host itself when guests with
	// guaranteed memory are admitted. Default: 5 % of its memory, 512 MiB at
	// least.
	MemoryReserve provision.Bytes
	// Logger for what is unusual. Default: none.
	Logger *slog.Logger
}

// IDRange is a range of user and group ids of the host, in blocks of 65,536: one
// for each unprivileged guest.
type IDRange struct {
	First  uint32 // the first id; a multiple of 65536
	Blocks int    // how many
}

// idBlock is how many ids a guest has.
const idBlock = 65536

var defaultIDs = IDRange{First: 0x70000000, Blocks: 4094}

// complete fills in what is left out.
func (o *Options) complete() {
	if o.LXCPath == "" {
		o.LXCPath = "/var/lib/lxc"
	}
	if o.Start == "" {
		o.Start = "/usr/bin/lxc-start"
	}
	if o.Attach == "" {
		o.Attach = "/usr/bin/lxc-attach"
	}
	if o.IDs == (IDRange{}) {
		o.IDs = defaultIDs
	}
	if o.IDDir == "" {
		o.IDDir = "/var/lib/provision/ids"
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
