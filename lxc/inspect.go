//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// Inspect implements [provision.Backend]. What is said of a guest that is on comes
// from the kernel, of one that is off from its configuration.
func (b *Backend) Inspect(ctx context.Context, ref provision.Ref) (provision.Found, error) {
	name := ref.Name
	if ref.ID != "" {
		if foreign, ok := foreignName(ref.ID); ok {
			name = foreign
		} else {
			d, err := b.find(ctx, ref.ID)
			if err != nil {
				return provision.Found{}, err
			}
			name = d.Spec.Name
		}
	}
	if !nameRE.MatchString(name) {
		return provision.Found{}, fmt.Errorf("%w: %q is no name of a container", provision.ErrNotFound, name)
	}
	f, d, err := b.look(ctx, name)
	if err == nil {
		err = liveNICs(ctx, &netState{}, d, &f.Status)
	}
	if missing(err) {
		return f, fmt.Errorf("%w: %s has no container %s", provision.ErrNotFound, b.opts.LXCPath, name)
	}
	if err == nil && ref.ID != "" && f.Status.ID != ref.ID {
		return f, fmt.Errorf("%w: %s is another guest by now", provision.ErrNotFound, name)
	}
	return f, err
}

// look reads one container. Of a guest that is on it returns the definition too, for
// [liveNICs].
func (b *Backend) look(ctx context.Context, name string) (f provision.Found, on *definition, err error) {
	d, err := b.load(name)
	if err != nil {
		return b.damaged(name, err), nil, nil
	}
	conf, err := b.configuration(name)
	if missing(err) {
		return f, nil, err
	}
	if d == nil {
		f, err = b.foreign(ctx, name, conf, err)
		return f, nil, err
	}
	if err != nil {
		return b.damaged(name, err), nil, nil
	}
	f.Record, err = b.record(name)
	if missing(err) {
		f, err = b.foreign(ctx, name, conf, nil)
		return f, nil, err
	}
	if err != nil {
		return b.damaged(name, err), nil, nil
	}
	b.known.Store(d.ID, name)
	f.Status, on, err = b.status(d, conf)
	return f, on, err
}

// damaged is a container whose files cannot be read. It must not keep the others from
// being listed.
func (b *Backend) damaged(name string, why error) provision.Found {
	f := provision.Found{Status: provision.Status{Name: name, ID: provision.ID(foreignPrefix + name), State: provision.StateUnknown, Reason: printable(why.Error())}}
	if id, _ := b.madeFor(name); id != "" {
		f.Status.ID = id
		f.Record, _ = b.record(name) // without it, the guest is nobody's to change
	}
	return f
}

// foreignPrefix makes the ID of a container of others from its name: it has no
// identity of its own.
const foreignPrefix = "lxc:"

func foreignName(id provision.ID) (string, bool) {
	return strings.CutPrefix(string(id), foreignPrefix)
}

// configuration reads liblxc's configuration of a container.
func (b *Backend) configuration(name string) (settings, error) {
	text, err := readFile(b.at.file(name, fileConfig), maxConfig)
	if err != nil {
		return nil, err
	}
	conf, err := parseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", name, err)
	}
	return conf, nil
}

// foreign is a container that was made by others. That its configuration cannot be
// read, which unread tells, keeps nobody from seeing the other containers.
func (b *Backend) foreign(ctx context.Context, name string, conf settings, unread error) (provision.Found, error) {
	st := provision.Status{Name: name, ID: provision.ID(foreignPrefix + name), NICs: nicsOf(conf), Autostart: conf.last("lxc.start.auto") == "1"}
	state, err := b.monitorState(ctx, name)
	if err = errors.Join(unread, err); err != nil {
		st.Reason = err.Error()
	}
	st.State = state
	return provision.Found{Status: st}, ctxerr.Of(ctx)
}

// status is what there is of one of our guests, with its definition if it is on.
func (b *Backend) status(d *definition, conf settings) (st provision.Status, on *definition, err error) {
	st = provision.Status{Name: d.Spec.Name, ID: d.ID, NICs: nicsOf(conf), Autostart: conf.last("lxc.start.auto") == "1"}
	l, err := b.lifeOf(d)
	if err != nil {
		st.State, st.Reason = provision.StateUnknown, err.Error()
		return st, nil, nil
	}
	st.State, st.Reason = l.state, l.reason
	st.Disks = []provision.DiskStatus{{Target: "root", Source: b.rootSource(d), Size: d.Spec.Disks[0].Size}}
	defer func() { st.Limits = b.trusted(d, st.Limits) }()
	if l.init == 0 {
		return st, nil, b.configuredLimits(d, conf, &st)
	}
	switch there, err := b.liveLimits(d, l, &st); {
	case err != nil:
		return st, nil, err
	case !there: // it has ended since
		st.State = provision.StateStopping
		return st, nil, b.configuredLimits(d, conf, &st)
	}
	return st, d, nil
}

// nicsOf reads the cards out of a configuration.
func nicsOf(conf settings) []provision.NICStatus {
	var list []provision.NICStatus
	for i := 0; ; i++ {
		at := fmt.Sprintf("lxc.net.%d.", i)
		kind := conf.last(at + "type")
		if kind == "" {
			return list
		}
		if kind == "empty" || kind == "none" {
			continue
		}
		n := provision.NICStatus{Bridge: conf.last(at + "link"), Device: conf.last(at + "veth.pair")}
		n.MAC, _ = provision.ParseMAC(conf.last(at + "hwaddr")) // zero where liblxc chooses one
		n.MTU, _ = strconv.Atoi(conf.last(at + "mtu"))
		n.VLAN, _ = strconv.Atoi(conf.last(at + "veth.vlan.id"))
		list = append(list, n)
	}
}

// List implements [provision.Backend].
func (b *Backend) List(ctx context.Context) ([]provision.Found, error) {
	names, err := b.names()
	if err != nil {
		return nil, err
	}
	type seen struct {
		found provision.Found
		on    *definition
		err   error
	}
	wait := each(ctx, names, func(name string) (g seen) {
		g.found, g.on, g.err = b.look(ctx, name)
		return g
	})
	net := &netState{}
	_, _ = net.read(ctx) // meanwhile; it fails where it is needed
	var list []provision.Found
	for _, g := range wait() {
		if err := ctxerr.Of(ctx); err != nil {
			return nil, err
		}
		if missing(g.err) {
			continue // deleted meanwhile
		}
		if g.err == nil {
			g.err = liveNICs(ctx, net, g.on, &g.found.Status)
		}
		if g.err != nil {
			return nil, g.err
		}
		list = append(list, g.found)
	}
	return list, nil
}
