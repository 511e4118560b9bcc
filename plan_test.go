package provision_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/golden"
	"github.com/guestforge/provision/provisiontest"
)

// situation is a machine on which a plan is asked for.
type situation struct {
	name    string
	options provisiontest.BackendOptions
	setup   func(*rig)
	spec    provision.Spec
}

// with is a Spec changed by f.
func with(s provision.Spec, f func(*provision.Spec)) provision.Spec {
	s = s.Copy()
	f(&s)
	return s
}

func made(s provision.Spec) func(*rig) { return func(r *rig) { r.create(s) } }

func drifted(s provision.Spec, f func(*provision.Status)) func(*rig) {
	return func(r *rig) {
		r.create(s)
		r.backend.drift = f
	}
}

// twoNICs have MACs that tests can compare.
func twoNICs() provision.Spec {
	s := small()
	s.NICs = []provision.NIC{{Bridge: "br0", MAC: provision.MAC{2, 0, 0, 0, 0, 1}}, {Bridge: "br1", MAC: provision.MAC{2, 0, 0, 0, 0, 2}}}
	return s
}

// leftover is what a create leaves that could not be undone either.
func leftover(s provision.Spec) func(*rig) {
	return func(r *rig) {
		r.faults.Before("create", "seed", errors.New("killed"))
		r.faults.Before("undo", "", errors.New("killed"))
		_, err := r.Create(r.t.Context(), s, nil)
		require.ErrorContains(r.t, err, "undo failed")
	}
}

func situations() []situation {
	keyed := with(small(), func(s *provision.Spec) { s.Key = "order-1" })
	two := with(small(), func(s *provision.Spec) {
		s.Disks = []provision.Disk{{Size: 20 * provision.GiB}, {Size: 10 * provision.GiB, IOPS: 100}}
	})
	hostile := with(small(), func(s *provision.Spec) {
		s.Labels = map[string]string{"esc": "\x1b[2J\x07", "lines": "a\n  ~ cpu.count: 1 -> 99\r\n", "long": strings.Repeat("é", 500), "quote": `"`, "emoji": "😀", "rtl": "\u202e"}
	})
	weak := provisiontest.BackendOptions{Weak: map[provision.Feature]string{provision.FeatureDiskIOPS: "this kernel has no io controller"}}
	noSpoof := provisiontest.BackendOptions{Missing: map[provision.Feature]string{provision.FeatureNICAntiSpoof: "there is no nftables"}}
	return []situation{
		{"new", provisiontest.BackendOptions{}, nil, rich()},
		{"new-smallest", provisiontest.BackendOptions{}, nil, small()},
		{"same", provisiontest.BackendOptions{}, made(rich()), rich()},
		{"same-with-defaults-written", provisiontest.BackendOptions{}, made(small()), with(small(), func(s *provision.Spec) {
			s.Hostname, s.CPU.Count, s.Memory.Size = "web1", 1, 512*provision.MiB
		})},
		{"impact-none", provisiontest.BackendOptions{}, made(small()), with(small(), func(s *provision.Spec) {
			s.Labels, s.Autostart, s.Needs.OwnKernel = map[string]string{"customer": "77"}, true, true
		})},
		{"impact-live", provisiontest.BackendOptions{}, made(rich()), with(rich(), func(s *provision.Spec) {
			s.CPU.Limit, s.NICs[0].Rate.In, s.Disks[0].IOPS = 1, 50*provision.Mbit, 0
		})},
		{"impact-restart", provisiontest.BackendOptions{}, made(small()), with(small(), func(s *provision.Spec) {
			s.CPU.Count, s.Memory.Size, s.Disks = 2, provision.GiB, []provision.Disk{{}, {Size: provision.GiB}}
		})},
		{"impact-recreate", provisiontest.BackendOptions{}, made(rich()), with(rich(), func(s *provision.Spec) {
			s.Image, s.Hostname, s.DNS.Servers, s.NICs[0].Addresses = "debian-13", "web2", nil, prefixes("192.0.2.11/24", "2001:db8::11/64")
		})},
		{"impact-impossible", provisiontest.BackendOptions{}, made(two), with(two, func(s *provision.Spec) {
			s.Key, s.Disks = "order-2", []provision.Disk{{Size: 19 * provision.GiB}}
		})},
		{"disk-grows", provisiontest.BackendOptions{}, made(two), with(two, func(s *provision.Spec) { s.Disks[1].Size = 11 * provision.GiB })},
		{"secrets-change", provisiontest.BackendOptions{}, made(rich()), with(rich(), func(s *provision.Spec) {
			s.Access.PasswordHash, s.Access.AuthorizedKeys, s.UserData = secretHash+"x", nil, nil
		})},
		{"secrets-appear", provisiontest.BackendOptions{}, made(small()), with(small(), func(s *provision.Spec) {
			s.Access, s.UserData = rich().Access, provision.UserData(secretData)
			s.Native = &provisiontest.Native{Settings: map[string]string{"a": "NATIVEsecret"}}
		})},
		{"incomplete", provisiontest.BackendOptions{}, leftover(keyed), keyed},
		{"hostile-labels-new", provisiontest.BackendOptions{}, nil, hostile},
		{"hostile-labels-removed", provisiontest.BackendOptions{}, made(hostile), small()},
		{"weak-limit", weak, nil, rich()},
		{"no-anti-spoof", noSpoof, nil, with(rich(), func(s *provision.Spec) { s.NICs[0].AntiSpoof = provision.Default })},
		{"drift", provisiontest.BackendOptions{}, drifted(rich(), func(st *provision.Status) {
			st.CPUs, st.Memory, st.Autostart, st.NICs[0].Bridge, st.NICs[0].VLAN = 8, 4*provision.GiB, false, "br1", 0
			st.Disks[0].Size = 30 * provision.GiB
		}), rich()},
		{"first-nic-gone", provisiontest.BackendOptions{}, drifted(twoNICs(), func(st *provision.Status) {
			st.NICs = st.NICs[1:]
			st.NICs[0].MTU, st.NICs[0].Isolated = 1400, true
		}), twoNICs()},
		{"definition", provisiontest.BackendOptions{}, func(r *rig) {
			r.create(small())
			require.NoError(r.t, r.backend.Redefine("web1", "devices/disk/driver/@cache", "none", "unsafe"))
		}, small()},
		{"big-numbers", provisiontest.BackendOptions{}, made(with(small(), func(s *provision.Spec) { s.Limits.Processes = 1<<63 + 1 })), with(small(), func(s *provision.Spec) {
			s.Limits.Processes = 1<<63 + 3
		})},
	}
}

func TestPlanGolden(t *testing.T) {
	for _, c := range situations() {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.options, provision.Options{Residency: "NO"})
			if c.setup != nil {
				c.setup(r)
			}
			before := r.backend.String()
			p, err := r.Plan(t.Context(), c.spec)
			require.NoError(t, err)
			again, err := r.Plan(t.Context(), c.spec)
			require.NoError(t, err)
			require.Equal(t, p, again, "a plan is the same for the same question")
			require.Equal(t, before, r.backend.String(), "planning changes nothing")

			text := p.String()
			require.Equal(t, len(p.Changes)+1+weakLimits(p), strings.Count(text, "\n"), "one line a field:\n%s", text)
			require.NotContains(t, text, "\x1b")
			js, err := json.MarshalIndent(p, "", "  ")
			require.NoError(t, err)
			for _, secret := range []string{secretHash, "USERDATA", "KEYcomment", "NATIVE"} {
				require.NotContains(t, text+string(js), secret)
			}
			if p.ID != "" {
				js = []byte(strings.ReplaceAll(string(js), string(p.ID), "ID"))
			}
			golden.Check(t, "plan/"+c.name+".txt", text+"\n"+string(js)+"\n")
		})
	}
}

func weakLimits(p *provision.Plan) (n int) {
	for _, l := range p.Limits {
		if l.Enforcement != provision.Enforced {
			n++
		}
	}
	return n
}

// After Create there is nothing left to do, whatever the Spec.
func TestPlanAfterCreateIsEmpty(t *testing.T) {
	for _, c := range situations() {
		if c.setup != nil {
			continue
		}
		r := newRig(t, c.options, provision.Options{Residency: "NO"})
		r.create(c.spec)
		p, err := r.Plan(t.Context(), c.spec)
		require.NoError(t, err)
		require.Equal(t, provision.ActionNone, p.Action, "%s: %s", c.name, p)
		require.Empty(t, p.Changes)
	}
}

// What Create refuses, Plan refuses with the same cause.
func TestPlanRefuses(t *testing.T) {
	keyed := with(small(), func(s *provision.Spec) { s.Key = "order-1" })
	for _, c := range []struct {
		name  string
		setup func(*rig)
		spec  provision.Spec
		want  error
	}{
		{"invalid", func(*rig) {}, provision.Spec{}, provision.ErrInvalid},
		{"unsupported", func(*rig) {}, with(small(), func(s *provision.Spec) { s.Memory.HugePages = true }), errors.ErrUnsupported},
		{"residency", func(*rig) {}, with(small(), func(s *provision.Spec) { s.Needs.Residency = "SE" }), errors.ErrUnsupported},
		{"another image", func(*rig) {}, with(small(), func(s *provision.Spec) { s.Image = "none" }), nil},
		{"foreign", func(r *rig) { require.NoError(r.t, r.backend.AddForeign("web1")) }, small(), provision.ErrExists},
		{"incomplete with another key", leftover(keyed), small(), provision.ErrExists},
		{"key of another", made(keyed), with(keyed, func(s *provision.Spec) { s.Name = "web2" }), provision.ErrConflict},
		{"down", func(r *rig) { r.backend.SetDown(true) }, small(), provision.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, provisiontest.BackendOptions{Missing: map[provision.Feature]string{provision.FeatureMemoryHugePages: "none reserved"}}, provision.Options{Residency: "NO"})
			c.setup(r)
			p, err := r.Plan(t.Context(), c.spec)
			require.Error(t, err)
			require.Nil(t, p)
			_, cerr := r.Create(t.Context(), c.spec, nil)
			require.Error(t, cerr)
			require.Equal(t, strings.Replace(cerr.Error(), "create", "plan", 1), err.Error())
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				require.ErrorIs(t, cerr, c.want)
			}
		})
	}
}
