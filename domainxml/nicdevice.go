package domainxml

import "libvirt.org/go/libvirtxml"

func nicDevice(nic NIC) libvirtxml.DomainInterface {
	d := libvirtxml.DomainInterface{
		MAC:    &libvirtxml.DomainInterfaceMAC{Address: nic.MAC},
		Source: &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: nic.Bridge}},
		Model:  &libvirtxml.DomainInterfaceModel{Type: "virtio"},
	}
	if nic.Device != "" {
		d.Target = &libvirtxml.DomainInterfaceTarget{Dev: nic.Device}
	}
	if nic.OpenVSwitch {
		d.VirtualPort = &libvirtxml.DomainInterfaceVirtualPort{Params: &libvirtxml.DomainInterfaceVirtualPortParams{
			OpenVSwitch: &libvirtxml.DomainInterfaceVirtualPortParamsOpenVSwitch{},
		}}
	}
	if nic.VLAN != 0 {
		d.VLan = &libvirtxml.DomainInterfaceVLan{Tags: []libvirtxml.DomainInterfaceVLanTag{{ID: uint(nic.VLAN)}}}
	}
	if nic.Filter != "" {
		d.FilterRef = &libvirtxml.DomainInterfaceFilterRef{Filter: nic.Filter}
		for _, p := range nic.Parameters {
			d.FilterRef.Parameters = append(d.FilterRef.Parameters, libvirtxml.DomainInterfaceFilterParam(p))
		}
	}
	if nic.Isolated {
		d.PortOptions = &libvirtxml.DomainInterfacePortOptions{Isolated: "yes"}
	}
	if nic.MTU != 0 {
		d.MTU = &libvirtxml.DomainInterfaceMTU{Size: uint(nic.MTU)}
	}
	if nic.In != 0 || nic.Out != 0 {
		d.Bandwidth = &libvirtxml.DomainInterfaceBandwidth{Inbound: rate(nic.In, nic.OpenVSwitch), Outbound: rate(nic.Out, nic.OpenVSwitch)}
	}
	if nic.Queues > 1 {
		d.Driver = &libvirtxml.DomainInterfaceDriver{Queues: uint(nic.Queues)}
	}
	return d
}

// rate is in KiB a second: https://libvirt.org/formatdomain.html. Open vSwitch
// enforces the peak and not the average (libvirt 10.10 warns of it).
func rate(kib uint64, peak bool) *libvirtxml.DomainInterfaceBandwidthParams {
	if kib == 0 {
		return nil
	}
	n := int(kib)
	p := &libvirtxml.DomainInterfaceBandwidthParams{Average: &n}
	if peak {
		p.Peak = &n
	}
	return p
}
