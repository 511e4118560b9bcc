//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostnet"
	"github.com/guestforge/provision/internal/roots"
)

// strays are directories of guests that liblxc does not know any more: as
// "rm -rf" leaves one when it comes to what is mounted in it.
func (b *Backend) strays(context.Context) ([]orphan, error) {
	entries, err := os.ReadDir(b.opts.LXCPath)
	if err != nil {
		return nil, err
	}
	var list []orphan
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || !nameRE.MatchString(name) {
			continue
		}
		if _, err := os.Lstat(b.at.file(name, fileConfig)); !missing(err) {
			continue
		}
		path := b.at.guest(name)
		id, base := b.madeFor(name)
		when, ok := changed(path)
		if id == "" || !ok {
			continue
		}
		remove := b.removeTree(path)
		list = append(list, orphan{provision.Orphan{Kind: provision.OrphanVolume, Name: name, ID: id, Modified: when,
			Evidence: []string{path + " was a guest's, and has no configuration"}}, func(ctx context.Context) error {
			if err := remove(ctx); err != nil || base == 0 {
				return err
			}
			return b.giveBlock(base, id)
		}})
	}
	return list, nil
}

// eventRE is how a hook names the guest that it is for.
var eventRE = regexp.MustCompile(`(?m)^event=\S*/events/([0-9a-f-]{36})$`)

// madeFor finds out which guest a directory was made for, by what is left in it or by
// the group that owns it, and the block of ids of that. It is "" for others'.
func (b *Backend) madeFor(name string) (id provision.ID, base uint32) {
	var st unix.Stat_t
	if err := unix.Lstat(b.at.guest(name), &st); err != nil || st.Uid != 0 {
		return "", 0
	}
	if st.Gid != 0 {
		c, err := b.claimOn(st.Gid)
		if err == nil && c.path == b.opts.LXCPath && idRE.MatchString(string(c.id)) {
			return c.id, st.Gid
		}
	}
	if data, err := readFile(b.at.file(name, fileDefinition), maxDefinition); err == nil {
		if d, err := parseDefinition(data); err == nil && idRE.MatchString(string(d.ID)) {
			return d.ID, 0
		}
	}
	if text, err := readFile(b.at.file(name, fileHook), maxConfig); err == nil {
		if m := eventRE.FindSubmatch(text); m != nil && idRE.Match(m[1]) {
			return provision.ID(m[1]), 0
		}
	}
	return "", 0
}

// idleGroups are the control groups of guests. [Backend.unowned] leaves out those that
// have processes.
func (b *Backend) idleGroups(context.Context) ([]orphan, error) {
	all, err := b.groups.Group(GroupsOf(b.opts.LXCPath))
	if err != nil {
		return nil, err
	}
	names, err := all.List()
	if err != nil {
		return nil, err
	}
	var list []orphan
	for _, name := range names {
		if !idRE.MatchString(name) {
			continue
		}
		id := provision.ID(name)
		path := groupOf(b.opts.LXCPath, id)
		o := orphan{Orphan: provision.Orphan{Kind: orphanGroup, Name: path, ID: id,
			Evidence: []string{"control groups of guests of " + b.opts.LXCPath + " have such names"}}}
		for _, h := range b.groups.Hierarchies {
			if when, ok := changed(filepath.Join(h.Dir, path)); ok && when.After(o.Modified) {
				o.Modified = when
			}
		}
		o.remove = func(ctx context.Context) error {
			g, err := b.groups.Group(path)
			if err != nil {
				return err
			}
			return g.Remove(ctx, GroupsOf(b.opts.LXCPath))
		}
		list = append(list, o)
	}
	return list, nil
}

// nftPath is where packages put nft(8).
const nftPath = "/usr/sbin/nft"

// networks are rules of nftables, and queues, of cards that are gone. Their names do
// not tell whether the guest is one of this LXCPATH, so what has a card is left alone,
// and so is all that belongs to a guest that is there.
func (b *Backend) networks(ctx context.Context) ([]orphan, error) {
	queues, tables, err := b.cardless(ctx)
	if err != nil {
		return nil, err
	}
	evidence := []string{"what is made for cards of guests has such names, and the card is gone"}
	var list []orphan
	for _, dev := range queues {
		list = append(list, orphan{provision.Orphan{Kind: orphanNetwork, Name: "device " + dev, Evidence: evidence},
			b.again(dev, func(context.Context) error { return hostnet.RemoveDevice(dev) })})
	}
	for _, table := range tables {
		list = append(list, orphan{provision.Orphan{Kind: orphanNetwork, Name: "table netdev " + table, Evidence: evidence},
			b.again(table, func(ctx context.Context) error {
				return runTool(ctx, "remove rules", nftPath, "delete", "table", "netdev", table)
			})})
	}
	return list, nil
}

// again looks a second time before it removes something: of a guest that was just
// being started, the rules may have been seen without the card, which comes before
// them.
func (b *Backend) again(name string, remove func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		queues, tables, err := b.cardless(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(append(queues, tables...), name) {
			return fmt.Errorf("%w: %s is in use, or gone", provision.ErrConflict, name)
		}
		return remove(ctx)
	}
}

// cardless are the queues and the tables of no guest, and without a card.
func (b *Backend) cardless(ctx context.Context) (queues, tables []string, err error) {
	owners, err := b.owners(ctx)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, 0, len(owners))
	for id := range owners {
		ids = append(ids, string(id))
	}
	state, err := hostnet.Read(ctx)
	if err != nil {
		return nil, nil, err
	}
	left, err := state.Leftovers(ids)
	if err != nil { // without nft nobody can have made rules
		b.opts.Logger.WarnContext(ctx, "rules of nftables are not looked at for orphans", "error", err)
	}
	cards := map[string]bool{} // digests of IDs of guests with a card
	for _, dev := range left.Devices {
		if digest, ok := digestIn(dev, "pv"); ok {
			cards[digest] = true
		}
	}
	for _, dev := range left.Devices {
		if digest, ok := digestIn(dev, "pi"); ok && !cards[digest] {
			queues = append(queues, dev)
		}
	}
	for _, table := range left.Tables {
		if digest, ok := digestIn(table, "provision_"); ok && !cards[digest] {
			tables = append(tables, table)
		}
	}
	return queues, tables, nil
}

// digestIn returns what a name of hostnet has of the guest's ID: the digits that all
// of its names have.
func digestIn(name, prefix string) (string, bool) {
	const digits = 10
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok || len(rest) < digits {
		return "", false
	}
	return rest[:digits], true
}

// torn are images whose import or removal did not finish.
func (b *Backend) torn(ctx context.Context) ([]orphan, error) {
	entries, err := os.ReadDir(b.at.images())
	if err != nil {
		return nil, err
	}
	var list []orphan
	for _, e := range entries {
		path := filepath.Join(b.at.images(), e.Name())
		when, ok := changed(path)
		if _, err := b.image(e.Name()); !errors.Is(err, provision.ErrInvalid) || !ok {
			continue
		}
		list = append(list, orphan{provision.Orphan{Kind: provision.OrphanImage, Name: path, Image: e.Name(), Modified: when,
			Evidence: []string{"it has no " + fileMeta + ", which comes last: an import did not finish"}},
			func(ctx context.Context) error { return roots.RemoveTree(ctx, path) }})
	}
	return list, nil
}

var _ provision.Sweeper = (*Backend)(nil)
