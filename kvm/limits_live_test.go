//go:build linux

package kvm_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

const (
	procDomainCreateXML  = 10
	procDomainGetXMLDesc = 14
	procSchedulerFlags   = 223
)

const systemDriver = "qemu+unix:///system"

// procOf returns the number of a call, and the last of its arguments where that is
// a word.
func procOf(packet []byte) (proc, last uint32) {
	return binary.BigEndian.Uint32(packet[12:]), binary.BigEndian.Uint32(packet[len(packet)-4:])
}

// From libvirt 11 the document of a running guest waits for its QEMU. A guest whose
// QEMU hangs is looked at and stopped all the same, and its limits say that they
// were not read.
func TestLiveDocumentHangs(t *testing.T) {
	rig := startLimitsRig(t, false)
	var hangs atomic.Bool
	var asked atomic.Int64
	proxy := countCalls(t, rig.Socket, func(packet []byte) bool {
		proc, flags := procOf(packet)
		hung := hangs.Load() && proc == procDomainGetXMLDesc && flags == 0
		if hung {
			asked.Add(1)
		}
		return hung
	})
	h := openHost(t, systemDriver+"?socket="+proxy.path, nil)
	s := limitsSpec("hung")
	s.NICs[0].Isolated = true
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	for _, path := range []string{"cpu.limit", "cpu.weight", "cpu.pin", "disks[0].iops", "nics[0].isolated"} {
		require.Contains(t, limitsOf(st.Limits)[path], " enforced", path)
	}

	hangs.Store(true)
	st, err = g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State)
	for _, path := range []string{"cpu.limit", "cpu.weight", "cpu.pin", "disks[0].iops", "disks[0].bps", "nics[0].isolated"} {
		require.Contains(t, limitsOf(st.Limits)[path], "  not enforced: it could not be read of the running guest: ", path)
	}
	require.NotContains(t, limitsOf(st.Limits)["nics[0].antiSpoof"], "could not be read")
	p, err := h.Plan(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, p.Action, "%s", p)
	require.EqualValues(t, 1, asked.Load(), "it is not asked over and over")
	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}

// A guest that goes off between two questions has no control group any more, which
// says nothing of its host.
func TestSchedulerOfGuestThatWentOff(t *testing.T) {
	rig := startLimitsRig(t, false)
	var once sync.Once
	var armed atomic.Bool
	proxy := countCalls(t, rig.Socket, func(packet []byte) bool {
		if proc, _ := procOf(packet); armed.Load() && proc == procSchedulerFlags {
			once.Do(func() { _, _ = rig.Virsh(t.Context(), "destroy", "brief") })
		}
		return false
	})
	h := openHost(t, systemDriver+"?socket="+proxy.path, nil)
	g, err := h.Create(t.Context(), limitsSpec("brief"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	require.NoError(t, g.Start(t.Context(), nil))
	armed.Store(true)
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Subset(t, limitsOf(st.Limits), map[string]string{"cpu.limit": "0.5 0.5 enforced", "cpu.weight": "50 50 enforced"})
	out, err := rig.Virsh(t.Context(), "domstate", "brief")
	require.NoError(t, err)
	require.Equal(t, "shut off", strings.TrimSpace(out))
}

// To look at guests starts none, also where a weight's scale would take that.
func TestReadsMakeNoTrials(t *testing.T) {
	rig := startLimitsRig(t, false)
	s := limitsSpec("weighed")
	g, err := openHost(t, rig.URI, nil).Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	proxy := startProxy(t, systemDriver, rig.Socket)
	weight := func(list bool) string {
		h := openHost(t, proxy.URI, nil) // which knows nothing yet
		if !list {
			g, err := h.Guest(t.Context(), s.Name)
			require.NoError(t, err)
			st, err := g.Status(t.Context())
			require.NoError(t, err)
			return limitsOf(st.Limits)["cpu.weight"]
		}
		for st, err := range h.Guests(t.Context(), nil) {
			require.NoError(t, err)
			return limitsOf(st.Limits)["cpu.weight"]
		}
		return ""
	}
	for _, list := range []bool{false, true} {
		require.Contains(t, weight(list), "50  not enforced: which scale this host's weights have is not known", "list: %v", list)
	}
	require.NoError(t, g.Start(t.Context(), nil))
	for _, list := range []bool{false, true} {
		require.Equal(t, "50 50 enforced", weight(list), "list: %v: a running guest tells", list)
	}
	require.Zero(t, proxy.count(procDomainCreateXML))
}

// Where no guest starts at all, a trial says nothing of what was tried.
func TestTrialWhereNoGuestStarts(t *testing.T) {
	rig := startRig(t)
	defineMany(t, rig.Socket, 0)
	h := openHost(t, "test+unix:///default?socket="+rig.Socket, nil) // its driver has no guests of QEMU
	for _, f := range []provision.Feature{provision.FeatureNICRate, provision.FeatureCPULimit} {
		err := h.Supports(f)
		require.ErrorContains(t, err, "a trial guest of which nothing is asked does not start")
		require.NotErrorIs(t, err, errors.ErrUnsupported)
	}
}

// With our packing of replies, what the library makes of ConnectGetAllDomainStats is
// empty: allStats alone may call it.
func TestOneCallerOfDomainStats(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var callers []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		if !strings.HasSuffix(f, "_test.go") && strings.Contains(string(text), ".ConnectGetAllDomainStats(") {
			callers = append(callers, f)
		}
	}
	require.Equal(t, []string{"stats.go"}, callers)
}
