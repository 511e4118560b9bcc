//go:build linux

package kvm_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// hostLeaving opens a host on which guests with guaranteed memory may take so much.
func hostLeaving(tb testing.TB, rig *testrig.Libvirt, room provision.Bytes) *provision.Host {
	tb.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	require.NoError(tb, err)
	available := provision.Bytes(0)
	for _, m := range regexp.MustCompile(`(?m)^(MemFree|Buffers|Cached): +(\d+) kB`).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.ParseUint(m[2], 10, 54)
		require.NoError(tb, err)
		available += provision.Bytes(n) * provision.KiB
	}
	require.Greater(tb, available, room, "this machine has not enough memory for the test")
	b := kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, MemoryReserve: available - room})
	h, err := provision.Open(tb.Context(), b, &provision.Options{LockDir: filepath.Join(rig.Dir, "lock")})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, h.Close()) })
	return h
}

func guaranteedSpec(name string, size provision.Bytes) provision.Spec {
	s := tinySpec(name)
	s.Memory = provision.Memory{Size: size, Guaranteed: true}
	return s
}

// rss returns the resident memory of a guest's QEMU.
func rss(tb testing.TB, rig *testrig.Libvirt) provision.Bytes {
	tb.Helper()
	return memoryOf(tb, rig, "VmRSS")
}

func memoryOf(tb testing.TB, rig *testrig.Libvirt, what string) provision.Bytes {
	tb.Helper()
	for _, dir := range qemuThreads(tb, rig, "qemu-system") {
		text, err := os.ReadFile(filepath.Join(dir, "status"))
		require.NoError(tb, err)
		m := regexp.MustCompile(what + `:\s+(\d+) kB`).FindStringSubmatch(string(text))
		require.NotNil(tb, m)
		n, err := strconv.ParseUint(m[1], 10, 54)
		require.NoError(tb, err)
		return provision.Bytes(n) * provision.KiB
	}
	return 0
}

func TestGuaranteedMemory(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	s := guaranteedSpec("sure", 160*provision.MiB)
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	require.NoError(t, g.Start(t.Context(), nil))
	held := rss(t, rig)
	t.Logf("QEMU takes %s beside the guest's %s", held-s.Memory.Size, s.Memory.Size)
	require.GreaterOrEqual(t, held, s.Memory.Size, "all of it is there before the guest has touched it")
	require.Less(t, held-s.Memory.Size, 196*provision.MiB, "what QEMU takes is within what is reckoned with")
	text, err := rig.Virsh(t.Context(), "dumpxml", "sure")
	require.NoError(t, err)
	require.Contains(t, text, "<memballoon model='none'/>")
	require.Contains(t, text, "<nosharepages/>")
	require.Contains(t, text, "<allocation mode='immediate'/>")

	// Whether memory can be locked is the machine's affair; what is said of it is true.
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	said := limitsOf(st.Limits)["memory.guaranteed"]
	needs := s
	needs.Name, needs.Needs.GuaranteedMemory = "needs", true
	_, err = h.Plan(t.Context(), needs)
	if strings.Contains(text, "<locked/>") {
		require.NoError(t, err)
		require.Equal(t, "true true enforced", said)
		require.GreaterOrEqual(t, memoryOf(t, rig, "VmLck"), s.Memory.Size)
	} else {
		require.ErrorContains(t, err, "libvirtd may not lock it")
		require.Contains(t, said, "true true partial: ")
		require.Zero(t, memoryOf(t, rig, "VmLck"))
	}
	plan, err := h.Plan(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, plan.Action, "%s", plan)
}

// A host does not promise the same memory twice, whoever asks at the same time.
func TestMemoryAdmission(t *testing.T) {
	rig := startRig(t)
	h := hostLeaving(t, rig, 4*provision.GiB)
	_, err := h.Plan(t.Context(), guaranteedSpec("huge", 6*provision.GiB))
	require.ErrorIs(t, err, provision.ErrCapacity)
	require.ErrorContains(t, err, "the guest takes 6")
	_, err = h.Create(t.Context(), guaranteedSpec("huge", 6*provision.GiB), nil)
	require.ErrorIs(t, err, provision.ErrCapacity)
	require.NotErrorIs(t, err, provision.ErrInvalid)

	// Each fits, both do not. They are off and count all the same.
	var made []*provision.Guest
	var refused []error
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			g, err := h.Create(t.Context(), guaranteedSpec(fmt.Sprintf("two-%d", i), 5*provision.GiB/2), nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused = append(refused, err)
			} else {
				made = append(made, g)
			}
		})
	}
	wg.Wait()
	for _, g := range made {
		t.Cleanup(func() { remove(t, g) })
	}
	require.Len(t, made, 1, "%v", refused)
	for _, err := range refused {
		require.ErrorIs(t, err, provision.ErrCapacity)
	}

	// A start looks again: a host that is short now refuses, another does not.
	tight := hostLeaving(t, rig, provision.GiB)
	g, err := tight.Guest(t.Context(), made[0].Name())
	require.NoError(t, err)
	require.ErrorIs(t, g.Start(t.Context(), nil), provision.ErrCapacity)
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StateStopped, st.State)

	// What a guest that runs has already is not promised to it again.
	running := tinySpec("runs")
	running.Memory = provision.Memory{Size: provision.GiB, Guaranteed: true}
	r, err := openHost(t, rig.URI, nil).Create(t.Context(), running, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, r) })
	promised := func() provision.Bytes {
		_, err := h.Plan(t.Context(), guaranteedSpec("huge", 6*provision.GiB))
		require.ErrorIs(t, err, provision.ErrCapacity)
		m := regexp.MustCompile(`and (\w+) are promised`).FindStringSubmatch(err.Error())
		require.NotNil(t, m, "%v", err)
		n, err := provision.ParseBytes(m[1])
		require.NoError(t, err)
		return n
	}
	off := promised()
	require.NoError(t, r.Start(t.Context(), nil))
	require.LessOrEqual(t, promised(), off-running.Memory.Size)
	_, err = r.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.Equal(t, off, promised())

	// Without a guarantee there is no admission.
	s := guaranteedSpec("loose", 6*provision.GiB)
	s.Memory.Guaranteed = false
	_, err = h.Plan(t.Context(), s)
	require.NoError(t, err)
}

// reserveHugePages has the kernel keep pages of 2 MiB, and gives them back.
func reserveHugePages(tb testing.TB, n int) {
	tb.Helper()
	const file = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
	was, err := os.ReadFile(file)
	require.NoError(tb, err)
	had, err := strconv.Atoi(strings.TrimSpace(string(was)))
	require.NoError(tb, err)
	set := func(n int) { require.NoError(tb, os.WriteFile(file, []byte(strconv.Itoa(n)), 0o644)) }
	tb.Cleanup(func() { set(had) })
	set(had + n)
	now, err := os.ReadFile(file)
	require.NoError(tb, err)
	require.Equal(tb, strconv.Itoa(had+n), strings.TrimSpace(string(now)), "the kernel found no room for huge pages")
}

func freeHugePages(tb testing.TB) int {
	tb.Helper()
	text, err := os.ReadFile("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
	require.NoError(tb, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(tb, err)
	return n
}

func TestHugePages(t *testing.T) {
	reserveHugePages(t, 64)
	rig := startLimitsRig(t, true)
	h := openHost(t, rig.URI, nil)
	require.NoError(t, h.Supports(provision.FeatureMemoryHugePages))
	free := freeHugePages(t)
	s := tinySpec("pages")
	s.Memory.HugePages, s.Memory.Guaranteed = true, true
	s.Needs.GuaranteedMemory = true
	g := bootedGuest(t, h, s)
	require.Equal(t, free-48, freeHugePages(t), "96 MiB in pages of 2 MiB")
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Subset(t, limitsOf(st.Limits), map[string]string{"memory.hugePages": "true true enforced", "memory.guaranteed": "true true enforced"})

	s.Name = "more"
	_, err = h.Create(t.Context(), s, nil)
	require.ErrorIs(t, err, provision.ErrCapacity)
	require.ErrorContains(t, err, "the guest takes 96MiB of huge pages, and of the 32MiB that are free")

	// The pool alone is not enough: libvirtd must have it mounted.
	without := openHost(t, startRig(t).URI, nil)
	require.ErrorContains(t, without.Supports(provision.FeatureMemoryHugePages), "hugetlbfs")
	_, err = without.Plan(t.Context(), s)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// Without a pool, and without a mount of it, huge pages are refused.
func TestHugePagesMissing(t *testing.T) {
	rig := startRig(t)
	s := tinySpec("pages")
	s.Memory.HugePages = true
	_, err := openHost(t, rig.URI, nil).Plan(t.Context(), s)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
