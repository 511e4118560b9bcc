// Package domainxml builds, reads, edits, compares and judges libvirt domain XML.
//
// [Parse] takes the document of any domain that libvirt wrote, of any version and
// driver, or a snapshot with one in it. A [Document] is its text: [Document.Apply]
// and the changes that go by name ([Document.SetMemory], [Document.AddDisk], …)
// replace the parts that they are about, and everything else stays as it is, byte
// for byte: comments, what this package has never heard of, and the order of
// things. Models of the schema lose such parts without a word when they read a
// document and write it again.
//
// [Document.Lint] finds what costs the owner of a domain something, says why and by
// whose word, and offers the edits that set it right; [Rules] lists what it looks
// for. [Diff] tells in which ways two domains differ in meaning, and leaves out what
// libvirt itself adds. [Document.Inventory], or [Read] in one call, is what a panel
// shows.
//
// [Build] renders a new domain the way this library makes them: the q35 machine,
// VirtIO for disks, network, random numbers and balloon, a serial console with a
// log, and spare PCIe ports for hot-plug. It uses the official Go model of the
// schema, libvirt.org/go/libvirtxml.
//
// Documents may come from anybody. Parse refuses what is not well-formed XML 1.0 in
// UTF-8, expands no entities and opens no files; what it takes is bounded, and so
// is the time for everything that is done with it. No function writes to its
// arguments or keeps them, and there are no goroutines.
//
// The package needs no libvirt and no cgo, and knows nothing of the rest of this
// module. The format is described at https://libvirt.org/formatdomain.html.
package domainxml
