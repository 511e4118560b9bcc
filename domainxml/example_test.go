package domainxml_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/guestforge/provision/domainxml"
)

func ExampleBuild() {
	doc, err := domainxml.Build(domainxml.Guest{
		Name: "web1", UUID: "5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11", CPUs: 2, Memory: 2 << 30,
		Disks: []domainxml.Disk{{Path: "/var/lib/libvirt/images/web1.qcow2", Format: "qcow2"}},
		NICs:  []domainxml.NIC{{Bridge: "br0", MAC: "52:54:00:a1:b2:c3"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(string(doc)) {
		if strings.Contains(line, "memory") || strings.Contains(line, "source") || strings.Contains(line, "target dev") {
			fmt.Print(line)
		}
	}
	// Output:
	//   <memory unit="KiB">2097152</memory>
	//       <source file="/var/lib/libvirt/images/web1.qcow2"></source>
	//       <target dev="vda" bus="virtio"></target>
	//       <source bridge="br0"></source>
}

func ExampleRead() {
	inv, err := domainxml.Read([]byte(`
<domain type='kvm'>
  <name>web1</name>
  <memory unit='GiB'>4</memory>
  <vcpu current='2'>8</vcpu>
  <devices>
    <disk type='network' device='disk'>
      <source protocol='rbd' name='volumes/web1'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:A1:B2:C3'/>
      <source bridge='br0'/>
      <vlan><tag id='42'/></vlan>
      <model type='virtio'/>
    </interface>
  </devices>
</domain>`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(inv.Name, inv.CPUs, inv.Memory>>20)
	fmt.Println(inv.Disks[0].Target, inv.Disks[0].Source)
	fmt.Println(inv.NICs[0].MAC, inv.NICs[0].Source, inv.NICs[0].VLAN)
	// Output:
	// web1 2 4096
	// vda volumes/web1
	// 52:54:00:a1:b2:c3 br0 42
}
