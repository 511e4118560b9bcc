package unpack

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

type kind int

const (
	file kind = iota
	directory
	symlink
	hardlink
	fifo
	charDevice
	blockDevice
)

// entry is what is to be made in the tree, checked as far as it can be without
// looking there.
type entry struct {
	name         string // clean
	kind         kind
	mode         uint32 // permission, set-id and sticky bits
	uid, gid     uint32
	modified     time.Time
	target       string // of a symbolic link, verbatim; of a hard link, clean
	major, minor uint32
	attrs        map[string]string
	size         int64
	body         io.Reader // has at least size bytes, or fails
}

// setIDs are the bits of set-user-id and set-group-id, see chmod(2).
const setIDs = 0o6000

// admit applies what the options say to an entry. It reports false for one that
// is to be left out.
func (o Options) admit(e *entry, r *Report) (bool, error) {
	if e.kind == charDevice || e.kind == blockDevice {
		return o.admitDevice(e, r)
	}
	if e.kind == file && e.mode&setIDs != 0 && o.StripSetID {
		e.mode &^= setIDs
		r.skip(SkippedSetID, e.name)
	}
	return true, nil
}

func (o Options) admitDevice(e *entry, r *Report) (bool, error) {
	switch {
	case e.kind == charDevice && e.major == 0 && e.minor == 0:
		return false, fmt.Errorf("character device 0:0 is an overlay whiteout: %w", ErrLayer)
	case o.Devices == DevicesKeep:
		return true, nil
	case o.Devices == DevicesSkip, strings.HasPrefix(e.name, "dev/"):
		r.skip(SkippedDevice, e.name)
		return false, nil
	}
	return false, fmt.Errorf("%w: only nodes below dev/ are left out without being asked to", ErrDevice)
}

// setOwner checks the numbers of an owner. 2^32-1 is "no change" to chown(2).
func (e *entry) setOwner(uid, gid int64) error {
	for _, id := range []int64{uid, gid} {
		if id < 0 || id >= math.MaxUint32 {
			return fmt.Errorf("%w: owner %d:%d is out of range", ErrEntry, uid, gid)
		}
	}
	e.uid, e.gid = uint32(uid), uint32(gid)
	return nil
}
