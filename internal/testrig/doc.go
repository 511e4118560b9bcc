// Package testrig gives tests a real hypervisor and a real guest: a private
// libvirtd in namespaces of its own, and a small bootable disk image whose
// guest reports on its serial console what it found.
//
// Nothing here touches the machine's own libvirt, and nothing survives the
// test process, even when that is killed. Root is needed, and the Debian
// packages in [Packages]; no init system, network or KVM is.
package testrig
