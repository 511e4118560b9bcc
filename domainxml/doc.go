// Package domainxml builds and reads libvirt domain XML for guests.
//
// [Build] renders a new domain the way this library makes them: the q35 machine,
// VirtIO for disks, network, random numbers and balloon, a serial console with a
// log, and spare PCIe ports for hot-plug. It uses the official Go model of the
// schema, libvirt.org/go/libvirtxml.
//
// [Read] takes what a panel shows of a domain out of a document that any version
// of libvirt wrote, in one pass and without building the whole model.
//
// The package needs no libvirt and no cgo, and knows nothing of the rest of this
// module. The format is described at https://libvirt.org/formatdomain.html.
package domainxml
