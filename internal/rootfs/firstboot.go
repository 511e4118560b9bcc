package rootfs

import (
	"context"
	"fmt"
	"net/netip"
	"path"

	"github.com/guestforge/provision/internal/ctxerr"
)

// FirstBoot is what a guest is to be when it first boots. It is plain data, and
// what is empty is left as the image has it.
type FirstBoot struct {
	// InstanceID tells this guest from all others: 1 to 64 letters, digits and
	// hyphens.
	InstanceID string
	// NewIdentity takes the image's machine-id and SSH host keys away, which all
	// guests of the image share, and gives the guest its own. It is for new
	// guests: one that has booted has made its own machine-id since.
	NewIdentity bool
	// Hostname may have dots. The kernel's name is the part before the first;
	// /etc/hosts knows the rest.
	Hostname string
	NICs     []NIC
	DNS      DNS
	Access   Access
	// UserData is for cloud-init, and an error where the image has none.
	UserData []byte
}

// NIC of the guest. One without Addresses is left to the image.
type NIC struct {
	// Name in the guest, eth0.
	Name string
	// MAC in lower case with colons.
	MAC       string
	Addresses []netip.Prefix
	// Gateways outside of all Addresses are reached on link.
	Gateways []netip.Addr
	// MTU in bytes; 0 leaves it.
	MTU int
}

// DNS is what goes into resolv.conf(5).
type DNS struct {
	Servers []netip.Addr
	Search  []string
}

// Access says who may log in.
type Access struct {
	// User to make or change, who may become root. Default: what cloud-init has
	// for one, and root in images without cloud-init, which have no other.
	User string
	// AuthorizedKeys are added to those that the user has.
	AuthorizedKeys []string
	// PasswordHash is a crypt(5) string.
	PasswordHash string
}

// Networks that a [Report] names.
const (
	CloudInit      = "cloud-init"
	Netplan        = "netplan"
	NetworkManager = "NetworkManager"
	Networkd       = "systemd-networkd"
	Ifupdown       = "ifupdown"
)

// Report says what was done. It holds no secret.
type Report struct {
	// Changed are the paths, as the guest sees them, that were written, made or
	// removed, in order. Nothing is changed that is as wanted already.
	Changed []string
	// Network is what configures the guest's NICs from inside. Empty: nothing
	// that is known here, and the host has to do it before init runs.
	Network string
	// Notes are what could not be done, and what to know, in sentences.
	Notes []string
}

// boot is one call of Apply.
type boot struct {
	*FirstBoot
	t   *Tree
	im  image
	rep Report
}

// Apply writes the first configuration in the way of the image that the tree has:
// by cloud-init where it has that, otherwise into the files that init, network
// manager and login read. Done twice, it changes nothing the second time. After
// an error the Report says what was changed; values that are not fit to be
// written are a [FieldError], before anything is written.
func (t *Tree) Apply(ctx context.Context, fb FirstBoot) (Report, error) {
	b := &boot{FirstBoot: &fb, t: t}
	if err := fb.validate(); err != nil {
		return b.rep, err
	}
	b.im = t.inspect()
	b.rep.Network = b.im.network
	if err := b.userDataFits(); err != nil {
		return b.rep, err
	}
	steps := []func() error{b.machineID, b.hostname, b.resolver}
	if b.im.cloudInit {
		steps = append(steps, b.seed)
	} else {
		steps = append(steps, b.hosts, b.hostKeys, b.network, b.access)
	}
	for _, step := range steps {
		if err := ctxerr.Of(ctx); err != nil {
			return b.rep, err
		}
		if err := step(); err != nil {
			return b.rep, err
		}
	}
	return b.rep, nil
}

// Fits returns the error that [Tree.Apply] would return before it writes anything.
func (t *Tree) Fits(fb FirstBoot) error {
	if err := fb.validate(); err != nil {
		return err
	}
	b := &boot{FirstBoot: &fb, t: t, im: t.inspect()}
	return b.userDataFits()
}

func (b *boot) note(format string, args ...any) {
	b.rep.Notes = append(b.rep.Notes, fmt.Sprintf(format, args...))
}

// changed adds a path to the Report.
func (b *boot) changed(name string, changed bool, err error) error {
	if changed {
		b.rep.Changed = append(b.rep.Changed, name)
	}
	return err
}

func (b *boot) write(name string, data []byte, a Attr) error {
	if err := b.mkdir(path.Dir(name), Attr{Mode: 0o755}); err != nil {
		return err
	}
	changed, err := b.t.WriteFile(name, data, a)
	return b.changed(name, changed, err)
}

func (b *boot) mkdir(name string, a Attr) error {
	changed, err := b.t.MkdirAll(name, a)
	return b.changed(name, changed, err)
}

func (b *boot) symlink(target, name string) error {
	if err := b.mkdir(path.Dir(name), Attr{Mode: 0o755}); err != nil {
		return err
	}
	changed, err := b.t.Symlink(target, name)
	return b.changed(name, changed, err)
}

func (b *boot) remove(name string) error {
	changed, err := b.t.Remove(name)
	return b.changed(name, changed, err)
}
