package unpack

// proofs are what root file systems have at least one of. Where /bin is a link
// to usr/bin, the second name of each is the file.
var proofs = [...]string{
	"sbin/init", "usr/sbin/init", "bin/sh", "usr/bin/sh", "bin/busybox",
	"lib/systemd/systemd", "usr/lib/systemd/systemd", "init",
}
