package rootfs

import (
	"errors"
	"io/fs"
	"path"
	"slices"
)

// image is what a tree has. The tenant may make it look like anything; whatever it
// looks like, only files of the tree come of it.
type image struct {
	systemd   bool
	unitDir   string // of systemd's own units, as links name it
	openrc    bool
	cloudInit bool
	disabled  bool // cloud-init is, by its file
	sshd      bool
	network   string
}

func (t *Tree) inspect() image {
	im := image{
		openrc:   t.any("/sbin/openrc", "/usr/sbin/openrc", "/etc/init.d/openrc"),
		sshd:     t.any("/etc/ssh/sshd_config", "/usr/sbin/sshd"),
		disabled: t.Exists("/etc/cloud/cloud-init.disabled"),
	}
	for _, dir := range []string{"/usr/lib/systemd", "/lib/systemd"} {
		if t.Exists(dir + "/systemd") {
			im.systemd, im.unitDir = t.initIs("systemd"), dir+"/system"
		}
	}
	im.cloudInit = !im.disabled && t.any("/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/etc/cloud/cloud.cfg")
	im.network = t.networkOf(&im)
	return im
}

// initIs reports whether /sbin/init is a link to a program of that name, or none.
func (t *Tree) initIs(name string) bool {
	target, err := t.Readlink("/sbin/init")
	return errors.Is(err, fs.ErrNotExist) || err == nil && path.Base(target) == name
}

func (t *Tree) any(names ...string) bool { return slices.ContainsFunc(names, t.Exists) }

// enabled reports whether systemd starts a unit, for one that is wanted by
// multi-user.target as all network managers are.
func (t *Tree) enabled(unit string) bool {
	if target, err := t.Readlink("/etc/systemd/system/" + unit); err == nil && target == "/dev/null" {
		return false // masked
	}
	const wants = "multi-user.target.wants/"
	return t.any("/etc/systemd/system/"+wants+unit, "/usr/lib/systemd/system/"+wants+unit, "/lib/systemd/system/"+wants+unit)
}

// OwnNetwork says that a manager in the tree gives the NICs their addresses, and must
// find none there: systemd-networkd, which is behind most of them, gives up an
// interface whose addresses it finds set. Ifupdown does not mind (see Apply).
func (t *Tree) OwnNetwork() bool {
	im := t.inspect()
	return im.systemd && im.network != "" && im.network != Ifupdown
}

// networkOf says what configures the network: cloud-init tells whatever there is;
// netplan is a front of two managers and decides for them. networkd is switched on
// where it is installed and there is nothing else.
func (t *Tree) networkOf(im *image) string {
	ifupdown := t.any("/sbin/ifup", "/usr/sbin/ifup", "/bin/ifup")
	switch {
	case im.cloudInit:
		return CloudInit
	case im.systemd && t.any("/usr/sbin/netplan", "/usr/bin/netplan", "/sbin/netplan") && t.Exists("/etc/netplan"):
		return Netplan
	case im.systemd && t.enabled("NetworkManager.service"):
		return NetworkManager
	case im.systemd && t.enabled("systemd-networkd.service"):
		return Networkd
	case im.systemd && ifupdown && t.enabled("networking.service"):
		return Ifupdown
	case im.systemd && t.Exists(im.unitDir+"/systemd-networkd.service"):
		return Networkd
	case !im.systemd && (ifupdown || t.Exists("/etc/network/interfaces")):
		return Ifupdown
	}
	return ""
}
