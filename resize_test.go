package provision_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// sold is the Spec of a plan that customers can upgrade.
func sold() provision.Spec {
	return with(small(), func(s *provision.Spec) {
		s.Key = "order-1"
		s.Disks = []provision.Disk{{Size: 10 * provision.GiB, IOPS: 500}}
		s.NICs = []provision.NIC{{Bridge: "br0", Rate: provision.Rate{In: 100 * provision.Mbit}}}
	})
}

func (r *rig) limit(g *provision.Guest, path string) provision.Limit {
	r.t.Helper()
	st, err := g.Status(r.t.Context())
	require.NoError(r.t, err)
	i := slices.IndexFunc(st.Limits, func(l provision.Limit) bool { return l.Path == path })
	require.GreaterOrEqual(r.t, i, 0, "limit %s", path)
	return st.Limits[i]
}

// Every wish that is no size is named, all at once, and nothing is changed.
func TestResizeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*provision.Spec)
		says []string
	}{
		"labels":       {func(s *provision.Spec) { s.Labels = map[string]string{"a": "b"}; s.Autostart = true }, []string{"labels.a", "SetLabels changes it", "autostart", "SetAutostart changes it"}},
		"secrets":      {func(s *provision.Spec) { s.UserData = []byte(secretData); s.Access.PasswordHash = secretHash }, []string{"userData: differs", "access.passwordHash: differs"}},
		"hugepages":    {func(s *provision.Spec) { s.Memory.HugePages = true }, []string{"memory.hugePages"}},
		"network":      {func(s *provision.Spec) { s.NICs[0].VLAN = 7; s.NICs[0].Isolated = true }, []string{"nics[0].vlan", "nics[0].isolated"}},
		"a NIC more":   {func(s *provision.Spec) { s.NICs = append(s.NICs, provision.NIC{Bridge: "br1"}) }, []string{"nics[1].bridge"}},
		"a disk more":  {func(s *provision.Spec) { s.Disks = append(s.Disks, provision.Disk{Size: provision.GiB}) }, []string{"disks: \"2\" disks, and the guest has 1"}},
		"shrunk":       {func(s *provision.Spec) { s.Disks[0].Size = provision.GiB; s.CPU.Limit = 1 }, []string{"disks[0].size", "never made smaller"}},
		"size left":    {func(s *provision.Spec) { s.Disks[0].Size = 0 }, []string{"disks[0].size: is left out"}},
		"another name": {func(s *provision.Spec) { s.Name = "web2" }, []string{"name", "hostname"}},
		"no Spec":      {func(s *provision.Spec) { s.Memory.Size = 1 }, []string{"memory.size"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
			g := r.create(sold())
			require.NoError(t, g.Start(t.Context(), nil))
			before := len(r.faults.Calls())
			_, err := g.Resize(t.Context(), with(sold(), c.set), &provision.ResizeOptions{AtRestart: true})
			require.ErrorIs(t, err, provision.ErrInvalid)
			for _, s := range c.says {
				require.ErrorContains(t, err, s)
			}
			require.NotContains(t, err.Error(), "SECRET")
			require.NotContains(t, err.Error(), "USERDATA")
			require.Subset(t, []string{"inspect"}, r.ops(before), "nothing but a look")
		})
	}
}

// A root disk of the image's size can grow, and not become smaller than it is.
func TestResizeOfImagesDisk(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.create(small())
	r.backend.drift = func(st *provision.Status) { st.Disks[0].Size = 64 * provision.MiB } // that of the image
	sized := func(b provision.Bytes) provision.Spec {
		return with(small(), func(s *provision.Spec) { s.Disks = []provision.Disk{{Size: b}} })
	}
	_, err := g.Resize(t.Context(), sized(provision.MiB), nil)
	require.ErrorIs(t, err, provision.ErrInvalid)
	require.ErrorContains(t, err, "less than the disk has (64MiB)")
	r.backend.drift = nil
	_, err = g.Resize(t.Context(), sized(provision.GiB), nil)
	require.NoError(t, err)
	require.Equal(t, provision.Limit{Path: "disks[0].size", Want: "1GiB", Have: "1GiB", Enforcement: provision.Enforced}, r.limit(g, "disks[0].size"))
}

// What somebody changed by other means does not keep a customer from an upgrade,
// and sizes are put right by it.
func TestResizeAndDrift(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.create(sold())
	r.backend.drift = func(st *provision.Status) { st.NICs[0].Bridge = "br9" }
	p, err := g.Resize(t.Context(), with(sold(), func(s *provision.Spec) { s.CPU.Limit = 1 }), nil)
	require.NoError(t, err)
	require.Len(t, p.Changes, 1)

	r.backend.drift = func(st *provision.Status) {
		st.Limits = slices.DeleteFunc(st.Limits, func(l provision.Limit) bool { return l.Path == "cpu.limit" })
	}
	_, err = g.Resize(t.Context(), with(sold(), func(s *provision.Spec) { s.CPU.Limit = 2 }), nil)
	require.ErrorContains(t, err, "cpu.limit was set to 2, and is - when it is read back")
}

// Disks cannot be made smaller again: the error says so, and so does the guest.
func TestResizeUndone(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g, boom := r.create(sold()), errors.New("boom")
	require.NoError(t, g.Start(t.Context(), nil))
	more := with(sold(), func(s *provision.Spec) { s.Disks[0].Size *= 2; s.Disks[0].IOPS *= 2; s.Memory.Size = provision.GiB })
	r.faults.After("resize", "disk 0", boom)
	_, err := g.Resize(t.Context(), more, &provision.ResizeOptions{AtRestart: true})
	require.ErrorIs(t, err, boom)
	require.ErrorContains(t, err, "disks[0] has grown to 20GiB and stays so")
	require.Equal(t, provision.Limit{Path: "disks[0].size", Want: "20GiB", Have: "20GiB", Enforcement: provision.Enforced}, r.limit(g, "disks[0].size"))
	require.Equal(t, "500", r.limit(g, "disks[0].iops").Have)
	require.Equal(t, provision.Enforced, r.limit(g, "memory.size").Enforcement)
	same, err := r.Create(t.Context(), sold(), nil)
	require.NoError(t, err, "the order is still the old one")
	require.Equal(t, g.ID(), same.ID())
}

// An undo that fails leaves a guest that says what happened to it.
func TestResizeHalfDone(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g, boom := r.create(sold()), errors.New("boom")
	more := with(sold(), func(s *provision.Spec) { s.Disks[0].IOPS *= 2 })
	r.faults.After("resize", "limits", boom)
	r.faults.Before("undo", "", errors.New("again"))
	_, err := g.Resize(t.Context(), more, nil)
	require.ErrorIs(t, err, boom)
	require.ErrorContains(t, err, "undo failed")
	l := r.limit(g, "disks[0].iops")
	require.Equal(t, []string{"500", "1000"}, []string{l.Want, l.Have})
	require.Contains(t, l.Reason, "resize did not finish")
	p, err := r.Plan(t.Context(), more)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, p.Action, "what it is, compared with what is wanted")
	require.NoError(t, g.SetLabels(t.Context(), nil), "other verbs go on")
	_, err = g.Resize(t.Context(), more, nil)
	require.NoError(t, err)
	require.Equal(t, provision.Enforced, r.limit(g, "disks[0].iops").Enforcement)
	_, err = r.Create(t.Context(), sold(), nil)
	require.ErrorIs(t, err, provision.ErrConflict)
}

// What waits for a restart says so until it has come, whoever looks.
func TestResizeWaits(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.create(sold())
	require.NoError(t, g.Start(t.Context(), nil))
	more := with(sold(), func(s *provision.Spec) { s.Memory.Size = provision.GiB; s.CPU.Count = 2; s.NICs[0].Rate.In *= 2 })
	_, err := g.Resize(t.Context(), more, nil)
	require.ErrorIs(t, err, provision.ErrState)
	require.ErrorContains(t, err, "memory.size takes effect with its next start: guests see their hardware when they start (allow a change at restart, or stop it before)")
	require.ErrorContains(t, err, "cpu.count")
	p, err := g.Resize(t.Context(), more, &provision.ResizeOptions{AtRestart: true})
	require.NoError(t, err)
	require.Len(t, p.Changes, 3)
	waits := provision.Limit{Path: "memory.size", Want: "1GiB", Have: "512MiB", Enforcement: provision.NotEnforced, Reason: "it takes effect with the next restart"}
	require.Equal(t, waits, r.limit(g, "memory.size"))
	require.Contains(t, p.Limits, waits)
	p, err = r.Plan(t.Context(), more)
	require.NoError(t, err)
	require.Len(t, p.Changes, 2, "%s", p)
	_, err = g.Resize(t.Context(), with(more, func(s *provision.Spec) { s.CPU.Limit = 1 }), &provision.ResizeOptions{AtRestart: true})
	require.NoError(t, err, "more of it")
	require.Equal(t, waits, r.limit(g, "memory.size"))

	_, err = g.Restart(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, provision.Enforced, r.limit(g, "memory.size").Enforcement)
	r.backend.drift = func(st *provision.Status) { st.CPUs = 7 }
	require.Equal(t, "it was changed by other means", r.limit(g, "cpu.count").Reason, "that is no longer ours")
}

// Memory is counted as for a new guest, without that which the guest has.
func TestResizeOfGuaranteedMemory(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{Memory: 4 * provision.GiB}, provision.Options{})
	sized := func(name string, b provision.Bytes) provision.Spec {
		return provision.Spec{Name: name, Image: "debian-12", Memory: provision.Memory{Size: b, Guaranteed: true}}
	}
	r.create(sized("other", provision.GiB))
	g := r.create(sized("web1", 2*provision.GiB))
	_, err := g.Resize(t.Context(), sized("web1", 4*provision.GiB), nil)
	require.ErrorIs(t, err, provision.ErrCapacity)
	require.Equal(t, "2GiB", r.limit(g, "memory.size").Have)
	_, err = g.Resize(t.Context(), sized("web1", 3*provision.GiB), nil)
	require.NoError(t, err)
}

// Needs are looked at again, and no image is needed.
func TestResizeNeeds(t *testing.T) {
	weak := map[provision.Feature]string{provision.FeatureProcesses: "no pids controller"}
	r := newRig(t, provisiontest.BackendOptions{Weak: weak}, provision.Options{})
	base := with(small(), func(s *provision.Spec) {
		s.Native = &provisiontest.Native{Settings: map[string]string{"rootDisk": "copy"}}
	})
	g := r.create(base)
	require.NoError(t, r.RemoveImage(t.Context(), "debian-12"))
	strict := with(base, func(s *provision.Spec) { s.Limits.Processes = 100; s.Needs.Strict = true })
	_, err := g.Resize(t.Context(), strict, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "no pids controller")
	_, err = g.Resize(t.Context(), with(base, func(s *provision.Spec) { s.Needs.Residency = "SE" }), nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = g.Resize(t.Context(), with(strict, func(s *provision.Spec) { s.Needs.Strict = false }), nil)
	require.NoError(t, err)
	require.Equal(t, provision.NotEnforced, r.limit(g, "limits.processes").Enforcement)
}

// The same guest may be written in another way; from then on that is its Spec.
func TestResizeAdopts(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.create(sold())
	_, err := g.Suspend(t.Context(), "payment", nil)
	require.NoError(t, err)
	written := with(sold(), func(s *provision.Spec) { s.CPU.Count = 1; s.Hostname = "web1" })
	_, err = r.Create(t.Context(), written, nil)
	require.ErrorIs(t, err, provision.ErrConflict)
	before := len(r.faults.Calls())
	p, err := g.Resize(t.Context(), written, nil)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, p.Action)
	require.Equal(t, []string{"inspect", "record"}, r.ops(before))
	_, err = r.Create(t.Context(), written, nil)
	require.NoError(t, err)
	before = len(r.faults.Calls())
	_, err = g.Resize(t.Context(), written, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"inspect"}, r.ops(before), "repeated")
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"payment"}, st.Suspended)
}
