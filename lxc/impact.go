//go:build linux

package lxc

import (
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/roots"
)

// Why a change takes more than a call.
const (
	sizeless      = "the guest's root is a directory without a size of its own; make the guest anew with a size"
	inodesFixed   = "the number of inodes of a file system is chosen when it is made"
	growOffline   = "the kernel grows a file system that is in use only for a process with CAP_SYS_RESOURCE, which this one lacks"
	startedWith   = "programs that run keep what they were started with"
	readAtStart   = "liblxc reads its configuration when the guest starts"
	rootMade      = "the root was made so, and the ids of its files with it"
	cardsAtStart  = "cards are made when the guest starts, and told to it at its first boot"
	noSuchAmounts = "this backend does not have it"
)

// Impact implements [provision.ImpactJudge].
func (b *Backend) Impact(st provision.Status, c provision.Change) (provision.Impact, string) {
	switch path := c.Path; {
	case path == "disks[0].size":
		return b.impactOfSize(st)
	case path == "disks[0].inodes":
		return provision.ImpactRecreate, inodesFixed
	case path == "limits.openFiles":
		return provision.ImpactRestart, startedWith
	case live[path], strings.HasPrefix(path, "nics[") && strings.Contains(path, "].rate."):
		return provision.ImpactLive, ""
	case strings.HasPrefix(path, "disks["), path == "memory.hugePages":
		return provision.ImpactImpossible, noSuchAmounts
	case strings.HasPrefix(path, "nics["):
		return provision.ImpactRecreate, cardsAtStart
	case strings.HasPrefix(path, "native.") && nativeAtStart[strings.TrimPrefix(path, "native.")]:
		return provision.ImpactRestart, readAtStart
	case strings.HasPrefix(path, "native"):
		return provision.ImpactRecreate, rootMade
	}
	return provision.ImpactRestart, readAtStart
}

// live are the fields that control groups have.
var live = map[string]bool{
	"cpu.count": true, "cpu.limit": true, "cpu.weight": true, "cpu.pin": true,
	"memory.size": true, "memory.swap": true, "memory.guaranteed": true,
	"disks[0].iops": true, "disks[0].bps": true, "limits.processes": true,
}

// nativeAtStart are the settings of [Native] that stand in the configuration alone.
var nativeAtStart = map[string]bool{
	"noNewPrivs": true, "nesting": true, "init": true, "haltSignal": true, "devices": true, "dropCapabilities": true,
}

// impactOfSize tells by the status, which shows the size of a root that has one.
func (b *Backend) impactOfSize(st provision.Status) (provision.Impact, string) {
	if len(st.Disks) == 0 || st.Disks[0].Size == 0 {
		return provision.ImpactRecreate, sizeless
	}
	if st.State.Live() && !roots.CanGrowMounted() {
		return provision.ImpactRestart, growOffline
	}
	return provision.ImpactLive, ""
}

var _ provision.ImpactJudge = (*Backend)(nil)
