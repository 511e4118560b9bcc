package domainxml_test

import (
	"errors"
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

const web1 = `<domain type='kvm'>
  <name>web1</name>
  <memory unit='GiB'>4</memory>
  <vcpu>2</vcpu>
  <devices>
    <!-- the system -->
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='/images/web1.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:a1:b2:c3'/>
      <source bridge='br0'/>
    </interface>
  </devices>
</domain>
`

func ExampleDocument_Apply() {
	d, err := domainxml.Parse([]byte(web1))
	if err != nil {
		log.Fatal(err)
	}
	err = d.Apply(
		domainxml.Set("devices/disk[target/@dev='vda']/driver/@cache", "writeback"),
		domainxml.Set("cputune/vcpupin[@vcpu='0']/@cpuset", "2"),
		domainxml.Add("devices", "<watchdog model='i6300esb'/>"),
		domainxml.Remove("devices/interface[1]"),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(d)
	// Output:
	// <domain type='kvm'>
	//   <name>web1</name>
	//   <memory unit='GiB'>4</memory>
	//   <vcpu>2</vcpu>
	//   <devices>
	//     <!-- the system -->
	//     <disk type='file' device='disk'>
	//       <driver name='qemu' type='qcow2' cache='writeback'/>
	//       <source file='/images/web1.qcow2'/>
	//       <target dev='vda' bus='virtio'/>
	//     </disk>
	//     <watchdog model='i6300esb'/>
	//   </devices>
	//   <cputune>
	//     <vcpupin vcpu='0' cpuset='2'/>
	//   </cputune>
	// </domain>
}

func ExampleDocument_Get() {
	d, err := domainxml.Parse([]byte(web1))
	if err != nil {
		log.Fatal(err)
	}
	bridge, err := d.Get("devices/interface[mac/@address='52:54:00:a1:b2:c3']/source/@bridge")
	fmt.Println(bridge, err)
	_, err = d.Get("devices/tpm/@model")
	fmt.Println(errors.Is(err, domainxml.ErrNotFound))
	// Output:
	// br0 <nil>
	// true
}

func ExampleDocument_Find() {
	d, err := domainxml.Parse([]byte("<domain><devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/></disk></devices></domain>"))
	if err != nil {
		log.Fatal(err)
	}
	paths, err := d.Find("devices/disk/target/@dev")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Join(paths, "\n"))
	// Output:
	// /domain/devices/disk[target/@dev='vda']/target/@dev
	// /domain/devices/disk[target/@dev='vdb']/target/@dev
}

func ExampleDocument_SetMemory() {
	d, err := domainxml.Parse([]byte("<domain>\n  <memory unit='MiB'>2048</memory>\n</domain>\n"))
	if err != nil {
		log.Fatal(err)
	}
	if err := d.SetMemory(4<<30, 8<<30); err != nil {
		log.Fatal(err)
	}
	fmt.Print(d)
	// Output:
	// <domain>
	//   <memory unit='MiB'>8192</memory>
	//   <currentMemory unit='KiB'>4194304</currentMemory>
	// </domain>
}

func ExampleDocument_AddDisk() {
	d, err := domainxml.Parse([]byte(web1))
	if err != nil {
		log.Fatal(err)
	}
	target, err := d.AddDisk(domainxml.Disk{Path: "/images/web1-data.qcow2", Format: "qcow2"})
	if err != nil {
		log.Fatal(err)
	}
	disk, err := d.Element("devices/disk[target/@dev='" + target + "']")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(target)
	fmt.Println(disk)
	// Output:
	// vdb
	// <disk type='file' device='disk'>
	//       <driver name='qemu' type='qcow2' cache='none' discard='unmap'/>
	//       <source file='/images/web1-data.qcow2'/>
	//       <target dev='vdb' bus='virtio'/>
	//     </disk>
}

func ExampleDocument_Lint() {
	d, err := domainxml.Parse([]byte(`
<domain type='kvm'>
  <name>web1</name>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='unsafe'/>
      <source file='/images/web1.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>`))
	if err != nil {
		log.Fatal(err)
	}
	found, err := d.Lint(&domainxml.LintOptions{Off: []string{"machine-version"}, Libvirt: 9_000_000})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range found {
		if f.Severity != domainxml.SeverityError {
			continue
		}
		fmt.Printf("line %d: %s\n", f.Line, f.Message)
		if err := d.Apply(f.Fix...); err != nil {
			log.Fatal(err)
		}
	}
	cache, err := d.Get("devices/disk/driver/@cache")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("cache is now", cache)
	// Output:
	// line 5: the cache mode is unsafe
	// cache is now none
}

func ExampleDiff() {
	asked, err := domainxml.Parse([]byte(`<domain type='kvm'>
  <memory unit='GiB'>2</memory>
  <os><type machine='q35'>hvm</type></os>
  <devices><disk><driver cache='none'/><target dev='vda'/></disk></devices>
</domain>`))
	if err != nil {
		log.Fatal(err)
	}
	has, err := domainxml.Parse([]byte(`<domain type='kvm' id='7'>
  <memory unit='KiB'>2097152</memory>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices><disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe'/><target dev='vda' bus='virtio'/></disk></devices>
</domain>`))
	if err != nil {
		log.Fatal(err)
	}
	for _, difference := range domainxml.Diff(asked, has) {
		fmt.Println(difference)
	}
	// Output:
	// ~ devices/disk/driver/@cache: none -> unsafe
}

func ExampleDocument_SetMetadata() {
	const customer = "https://panel.example.net/customer/1"
	d, err := domainxml.Parse([]byte("<domain type='kvm'>\n  <name>web1</name>\n</domain>"))
	if err != nil {
		log.Fatal(err)
	}
	if err := d.SetMetadata(domainxml.Metadata{Namespace: customer, Prefix: "panel", Element: "customer", Text: "77"}); err != nil {
		log.Fatal(err)
	}
	inv, err := d.Inventory()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d)
	fmt.Println(inv.Metadata[customer])
	// Output:
	// <domain type='kvm'>
	//   <name>web1</name>
	//   <metadata>
	//     <panel:customer xmlns:panel="https://panel.example.net/customer/1">77</panel:customer>
	//   </metadata>
	// </domain>
	// 77
}
