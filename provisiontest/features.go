package provisiontest

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/guestforge/provision"
)

// fieldUses tells how a Spec uses a feature, with values that fit everywhere.
func fieldUses() map[provision.Feature]func(*provision.Spec) {
	disk := func(set func(*provision.Disk)) func(*provision.Spec) {
		return func(s *provision.Spec) {
			if len(s.Disks) == 0 {
				s.Disks = []provision.Disk{{}}
			}
			set(&s.Disks[0])
		}
	}
	nic := func(set func(*provision.NIC)) func(*provision.Spec) {
		return func(s *provision.Spec) {
			if len(s.NICs) == 0 {
				s.NICs = []provision.NIC{{Bridge: "br0"}}
			}
			set(&s.NICs[0])
		}
	}
	return map[provision.Feature]func(*provision.Spec){
		provision.FeatureImage:            func(*provision.Spec) {},
		provision.FeatureHostname:         func(s *provision.Spec) { s.Hostname = "host.example.net" },
		provision.FeatureCPUCount:         func(s *provision.Spec) { s.CPU.Count = 2 },
		provision.FeatureCPULimit:         func(s *provision.Spec) { s.CPU.Limit = 0.5 },
		provision.FeatureCPUWeight:        func(s *provision.Spec) { s.CPU.Weight = 50 },
		provision.FeatureCPUPin:           func(s *provision.Spec) { s.CPU.Pin = []int{0} },
		provision.FeatureMemorySize:       func(s *provision.Spec) { s.Memory.Size = max(s.Memory.Size, 64*provision.MiB) },
		provision.FeatureMemorySwap:       func(s *provision.Spec) { s.Memory.Swap = 64 * provision.MiB },
		provision.FeatureMemoryGuaranteed: func(s *provision.Spec) { s.Memory.Guaranteed = true },
		provision.FeatureMemoryHugePages:  func(s *provision.Spec) { s.Memory.HugePages = true },
		provision.FeatureDiskSize:         disk(func(d *provision.Disk) { d.Size = max(d.Size, provision.GiB) }),
		provision.FeatureDiskInodes:       disk(func(d *provision.Disk) { d.Inodes = 100_000 }),
		provision.FeatureDiskIOPS:         disk(func(d *provision.Disk) { d.IOPS = 1000 }),
		provision.FeatureDiskBPS:          disk(func(d *provision.Disk) { d.BPS = 50 * provision.MiB }),
		provision.FeatureDataDisks: func(s *provision.Spec) {
			if len(s.Disks) == 0 {
				s.Disks = []provision.Disk{{}}
			}
			s.Disks = append(s.Disks, provision.Disk{Size: 64 * provision.MiB})
		},
		provision.FeatureNICs:    nic(func(*provision.NIC) {}),
		provision.FeatureNICVLAN: nic(func(n *provision.NIC) { n.VLAN = 42 }),
		provision.FeatureNICAddresses: nic(func(n *provision.NIC) {
			n.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}
			n.Gateways = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		}),
		provision.FeatureNICRate:      nic(func(n *provision.NIC) { n.Rate = provision.Rate{In: 100 * provision.Mbit, Out: 50 * provision.Mbit} }),
		provision.FeatureNICAntiSpoof: nic(func(n *provision.NIC) { n.AntiSpoof = provision.On }),
		provision.FeatureNICMTU:       nic(func(n *provision.NIC) { n.MTU = 1400 }),
		provision.FeatureNICIsolated:  nic(func(n *provision.NIC) { n.Isolated = true }),
		provision.FeatureDNS: func(s *provision.Spec) {
			s.DNS = provision.DNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Search: []string{"example.net"}}
		},
		provision.FeatureProcesses: func(s *provision.Spec) { s.Limits.Processes = 500 },
		provision.FeatureOpenFiles: func(s *provision.Spec) { s.Limits.OpenFiles = 4096 },
		provision.FeatureAccess: func(s *provision.Spec) {
			s.Access.PasswordHash = "$6$saltsalt$" + strings.Repeat("a", 86)
		},
		provision.FeatureUserData:  func(s *provision.Spec) { s.UserData = []byte("#cloud-config\n{}\n") },
		provision.FeatureAutostart: func(s *provision.Spec) { s.Autostart = true },
		provision.FeatureOwnKernel: func(s *provision.Spec) { s.Needs.OwnKernel = true },
		provision.FeatureResidency: func(s *provision.Spec) { s.Needs.Residency = "NO" },
	}
}

// verbUses tells how features that are verbs are asked for.
func (e *env) verbUses(g *provision.Guest) map[provision.Feature]func() error {
	return map[provision.Feature]func() error{
		provision.FeaturePause: func() error {
			err := g.Pause(e.ctx)
			return errors.Join(err, g.Resume(e.ctx))
		},
		provision.FeatureConsoleLog: func() error { _, err := g.ConsoleLog(e.ctx, 0); return err },
		provision.FeatureImages:     func() error { _, err := e.Images(e.ctx); return err },
		provision.FeatureCheck:      func() error { _, err := e.Check(e.ctx); return err },
		provision.FeatureOrphans:    func() error { _, err := e.Orphans(e.ctx, nil); return err },
		provision.FeatureRender:     func() error { _, err := e.Render(e.ctx, e.spec("r")); return err },
		provision.FeatureAutostart:  func() error { return g.SetAutostart(e.ctx, true) },
		provision.FeatureUsage:      func() error { _, err := g.Usage(e.ctx); return err },
		provision.FeatureAddresses:  func() error { _, err := g.Addresses(e.ctx); return err },
		provision.FeatureConsole: func() error {
			c, err := g.Console(e.ctx, nil)
			if err != nil {
				return err
			}
			return c.Close()
		},
		provision.FeatureExec:     func() error { return e.execOnce(g, nil) },
		provision.FeatureExecUser: func() error { return e.execOnce(g, &provision.ExecOptions{User: "root"}) },
		provision.FeatureExecDir:  func() error { return e.execOnce(g, &provision.ExecOptions{Dir: "/"}) },
		provision.FeatureExecTTY:  func() error { return e.execOnce(g, &provision.ExecOptions{TTY: new(provision.Terminal)}) },
		provision.FeatureResize: func() error {
			same := e.spec("g")
			same.Autostart = e.status(g).Autostart
			_, err := g.Resize(e.ctx, same, nil)
			return err
		},
		provision.FeatureSnapshots: func() error { _, err := g.Snapshots(e.ctx); return err },
	}
}

// execOnce runs a program when the guest is able to.
func (e *env) execOnce(g *provision.Guest, o *provision.ExecOptions) error {
	if e.Supports(provision.FeatureExec) == nil {
		if _, err := g.Wait(e.ctx, provision.UntilExec()); err != nil {
			return err
		}
	}
	_, err := g.Exec(e.ctx, []string{"true"}, o)
	return err
}

// askedLimits tells which limits a Spec asks for.
func askedLimits(s *provision.Spec) map[string]bool {
	limits := map[string]bool{
		"cpu.limit":         s.CPU.Limit != 0,
		"cpu.weight":        s.CPU.Weight != 0,
		"cpu.pin":           len(s.CPU.Pin) > 0,
		"memory.guaranteed": s.Memory.Guaranteed || s.Needs.GuaranteedMemory,
		"memory.hugePages":  s.Memory.HugePages,
		"memory.swap":       s.Memory.Swap != 0,
		"limits.processes":  s.Limits.Processes != 0,
		"limits.openFiles":  s.Limits.OpenFiles != 0,
	}
	if len(s.Disks) > 0 {
		d := s.Disks[0]
		limits["disks[0].inodes"] = d.Inodes != 0
		limits["disks[0].iops"] = d.IOPS != 0
		limits["disks[0].bps"] = d.BPS != 0
	}
	if len(s.NICs) > 0 {
		limits["nics[0].rate.in"] = s.NICs[0].Rate.In != 0
		limits["nics[0].rate.out"] = s.NICs[0].Rate.Out != 0
		limits["nics[0].antiSpoof"] = s.NICs[0].AntiSpoof != provision.Off
		limits["nics[0].isolated"] = s.NICs[0].Isolated
	}
	return limits
}
