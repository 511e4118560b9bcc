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
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
	"github.com/guestforge/provision/internal/mountinfo"
	"github.com/guestforge/provision/internal/roots"
)

// Kinds of orphans that other backends do not have.
const (
	orphanIDs     provision.OrphanKind = "ids"     // a block of user ids
	orphanEvent   provision.OrphanKind = "event"   // what tells watchers of changes
	orphanGroup   provision.OrphanKind = "cgroup"  // control groups without processes
	orphanNetwork provision.OrphanKind = "network" // rules or a queue of a card that is gone
)

// orphan is one, and what removes it.
type orphan struct {
	provision.Orphan
	remove func(ctx context.Context) error
}

// Orphans implements [provision.Sweeper]. What belongs to a guest whose processes
// still run is none, whatever became of its files.
func (b *Backend) Orphans(ctx context.Context) ([]provision.Orphan, error) {
	found, err := b.orphans(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]provision.Orphan, 0, len(found))
	for _, o := range found {
		list = append(list, o.Orphan)
	}
	return list, nil
}

// RemoveOrphan implements [provision.Sweeper].
func (b *Backend) RemoveOrphan(ctx context.Context, o provision.Orphan, before time.Time) error {
	found, err := b.orphans(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(found, func(a orphan) bool {
		return a.Kind == o.Kind && a.Name == o.Name && a.ID == o.ID && a.Image == o.Image && !a.Modified.After(before)
	})
	if i < 0 {
		return fmt.Errorf("%w: %s is no orphan, or was written to after %s", provision.ErrConflict, o.Name, before.Format(time.RFC3339))
	}
	return found[i].remove(ctx)
}

// orphans looks for what could be one before it looks for guests: what a Create that
// is under way has made when it is listed is young, or its guest is there.
func (b *Backend) orphans(ctx context.Context) ([]orphan, error) {
	var list []orphan
	for _, look := range []func(context.Context) ([]orphan, error){b.remains, b.links, b.strays, b.idleGroups, b.networks, b.torn} {
		found, err := look(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	owners, err := b.owners(ctx)
	if err != nil {
		return nil, err
	}
	return b.unowned(list, owners)
}

// unowned leaves out what is of a guest that is there or runs.
func (b *Backend) unowned(list []orphan, owners map[provision.ID]bool) ([]orphan, error) {
	var rest []orphan
	for _, o := range list {
		if o.ID != "" {
			runs, err := b.hasProcesses(o.ID)
			if err != nil {
				return nil, err
			}
			if owners[o.ID] || runs {
				continue
			}
			o.Evidence = append(o.Evidence, "no guest has the ID "+string(o.ID)+", and no process is in its control groups")
		}
		if !o.Modified.IsZero() {
			o.Evidence = append(o.Evidence, "last written to "+o.Modified.Format(time.RFC3339))
		}
		rest = append(rest, o)
	}
	return rest, nil
}

// hasProcesses says whether processes of a guest are there.
func (b *Backend) hasProcesses(id provision.ID) (bool, error) {
	g, err := b.groups.Group(groupOf(b.opts.LXCPath, id))
	if err != nil {
		return true, err
	}
	procs, err := g.Procs()
	return len(procs) > 0, err
}

// owners are the IDs of all guests, of directories that were renamed too.
func (b *Backend) owners(ctx context.Context) (map[provision.ID]bool, error) {
	names, err := b.names()
	if err != nil {
		return nil, err
	}
	owners := map[provision.ID]bool{}
	for _, name := range names {
		if err := ctxerr.Of(ctx); err != nil {
			return nil, err
		}
		data, err := readFile(b.at.file(name, fileDefinition), maxDefinition)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		d, err := parseDefinition(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.at.file(name, fileDefinition), err)
		}
		owners[d.ID] = true
	}
	return owners, nil
}

// idRE is the form of the IDs of guests of this library.
var idRE = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// remains are the directories of guests that were not made to the end, or not
// removed, and the files of events.
func (b *Backend) remains(context.Context) ([]orphan, error) {
	var list []orphan
	for _, in := range []struct {
		dir, evidence string
		kind          provision.OrphanKind
	}{
		{b.at.making(), "a guest was being made in it", provision.OrphanVolume},
		{b.at.removing(), "a guest that is removed was put there", provision.OrphanVolume},
		{b.at.events(), "it tells watchers of changes of a guest", orphanEvent},
	} {
		entries, err := os.ReadDir(in.dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := filepath.Join(in.dir, e.Name())
			if when, ok := changed(path); ok && idRE.MatchString(e.Name()) {
				list = append(list, orphan{provision.Orphan{Kind: in.kind, Name: filepath.Join(filepath.Base(in.dir), e.Name()),
					ID: provision.ID(e.Name()), Modified: when, Evidence: []string{in.evidence}}, b.removeTree(path)})
			}
		}
	}
	return list, nil
}

// changed is when something was last changed: for a directory, also renamed.
func changed(path string) (time.Time, bool) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return time.Time{}, false // gone meanwhile
	}
	m, c := time.Unix(st.Mtim.Unix()).UTC(), time.Unix(st.Ctim.Unix()).UTC()
	if c.After(m) {
		m = c
	}
	return m, true
}

// removeTree removes what is mounted below a path, and then the path.
func (b *Backend) removeTree(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		points, err := mountsBelow(path)
		if err != nil {
			return err
		}
		for _, p := range points {
			err := unix.Unmount(p, unix.UMOUNT_NOFOLLOW)
			if errors.Is(err, unix.EBUSY) {
				return fmt.Errorf("%w: something uses what is mounted at %s", provision.ErrBusy, p)
			}
			if err != nil {
				return os.NewSyscallError("umount "+p, err)
			}
		}
		return roots.RemoveTree(ctx, path)
	}
}

// mountsBelow lists what is mounted below a path, the last first.
func mountsBelow(path string) ([]string, error) {
	text, err := os.ReadFile("/proc/thread-self/mountinfo") // as that of the first thread may be of another namespace
	if err != nil {
		return nil, err
	}
	mounts, err := mountinfo.Parse(text)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, m := range mounts {
		if below(m.Point, path) {
			list = append(list, m.Point)
		}
	}
	slices.Reverse(list)
	return list, nil
}

// links are the blocks of user ids that are reserved. One that files may bear goes
// with these: see [Backend.strays].
func (b *Backend) links(context.Context) ([]orphan, error) {
	claims, err := b.claims()
	if err != nil {
		return nil, err
	}
	used, err := b.groupsOfDirectories()
	if err != nil {
		return nil, err
	}
	var list []orphan
	for _, c := range claims {
		if c.path != b.opts.LXCPath || !idRE.MatchString(string(c.id)) || used[c.base] {
			continue
		}
		list = append(list, orphan{provision.Orphan{Kind: orphanIDs, Name: "ids/" + strconv.FormatUint(uint64(c.base), 10), ID: c.id, Modified: c.made,
			Evidence: []string{"it reserves 65536 user ids for a guest"}}, func(context.Context) error { return b.giveBlock(c.base, c.id) }})
	}
	return list, nil
}

// groupsOfDirectories are the owning groups of all directories of LXCPATH: a guest's
// is the first of its ids.
func (b *Backend) groupsOfDirectories() (map[uint32]bool, error) {
	entries, err := os.ReadDir(b.opts.LXCPath)
	if err != nil {
		return nil, err
	}
	used := map[uint32]bool{}
	for _, e := range entries {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(b.opts.LXCPath, e.Name()), &st); err == nil {
			used[st.Gid] = true
		}
	}
	return used, nil
}
