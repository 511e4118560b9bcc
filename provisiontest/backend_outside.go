package provisiontest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/guestforge/provision"
)

// AddForeign makes a guest by other means than the library: it has no Record.
// Its ID is "foreign-" and the name. A name that is taken is ErrExists.
func (b *Backend) AddForeign(name string) error {
	return b.outside(func(m *machine) error {
		if _, err := m.byName(name); err == nil {
			return fmt.Errorf("guest %q: %w", name, provision.ErrExists)
		}
		g := &guest{Name: name, ID: provision.ID("foreign-" + name), State: provision.StateStopped}
		g.Spec = provision.Spec{Name: name, Hostname: name, CPU: provision.CPU{Count: 1}, Memory: provision.Memory{Size: provision.GiB}}
		put(&m.Guests, g.ID, g)
		m.note(provision.EventCreated, g)
		return nil
	})
}

// AddImage puts an image into the store without an import. It is raw and of
// 1 MiB; its checksum is that of its name.
func (b *Backend) AddImage(name string) error {
	return b.outside(func(m *machine) error {
		put(&m.Images, name, provision.Image{
			Name: name, Format: "raw", Size: int64(provision.MiB), Capacity: int64(provision.MiB),
			SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(name))), Imported: m.opts.Clock.Now().UTC(),
		})
		return nil
	})
}

// RemoveOutside removes a guest and what belongs to it behind the library's
// back. A guest that is not there is ErrNotFound.
func (b *Backend) RemoveOutside(name string) error {
	return b.meddle(name, func(m *machine, g *guest) error {
		for _, v := range m.volumesOf(g.ID) {
			delete(m.Volumes, v)
		}
		for _, s := range m.snapshotsOf(g.ID) {
			delete(m.Snapshots, s)
		}
		delete(m.Seeds, seedName(g.ID))
		m.undefine(g.ID)
		return nil
	})
}

// Crash makes a guest crash, if it is on.
func (b *Backend) Crash(name string) error {
	return b.meddle(name, func(m *machine, g *guest) error {
		if g.State.Live() {
			m.set(g, provision.StateCrashed, "panicked")
		}
		return nil
	})
}

// PowerOff makes a guest shut itself down, if it is on.
func (b *Backend) PowerOff(name string) error {
	return b.meddle(name, func(m *machine, g *guest) error {
		if g.State.Live() {
			m.set(g, provision.StateStopped, "shut down")
		}
		return nil
	})
}

// StartOutside starts a guest with the hypervisor's own tools. One that
// SetSuspended blocks is ErrSuspended.
func (b *Backend) StartOutside(name string) error { return b.meddle(name, (*machine).start) }

// Redefine changes the definition of a guest where a Spec has no field: at path,
// what a new guest has as made is now changed.
func (b *Backend) Redefine(name, path, made, changed string) error {
	return b.meddle(name, func(_ *machine, g *guest) error {
		c := provision.Change{Path: path, Have: changed, Want: made, Impact: provision.ImpactRestart, Reason: "it was changed by other means"}
		g.Redefined = append(g.Redefined, c)
		return nil
	})
}

// Drift implements [provision.Drifter]: what Redefine did.
func (b *Backend) Drift(ctx context.Context, id provision.ID, _ *provision.Spec) ([]provision.Change, error) {
	var list []provision.Change
	err := b.store.view(ctx, func(m *machine) error {
		g, err := m.byID(id)
		if err == nil {
			list = slices.Clone(g.Redefined)
		}
		return err
	})
	return list, err
}

// Write makes a guest write text to its console.
func (b *Backend) Write(name, text string) error {
	return b.meddle(name, func(_ *machine, g *guest) error {
		g.Console += text
		return nil
	})
}

// Objects lists everything that there is, guests, volumes, snapshots, seeds, images and
// unfinished imports, one line each, sorted.
func (b *Backend) Objects() ([]string, error) {
	var list []string
	err := b.look(func(m *machine) { list = m.objects() })
	return list, err
}

// Leftovers lists volumes and seeds that belong to no guest, and unfinished
// imports, sorted. When no operation is under way, there should be none.
func (b *Backend) Leftovers() ([]string, error) {
	var list []string
	err := b.look(func(m *machine) { list = m.leftovers() })
	return list, err
}

// String returns the whole state as text, one line for each object. It is
// stable but for the IDs, which it leaves out.
func (b *Backend) String() string {
	var text strings.Builder
	err := b.look(func(m *machine) {
		for _, g := range m.sorted() {
			fmt.Fprintln(&text, g)
			for _, v := range slices.Backward(m.volumesOf(g.ID)) {
				fmt.Fprintf(&text, "  %s %s\n", shortName(g.ID, v), provision.Bytes(m.Volumes[v].Size))
			}
			for _, s := range m.snapshotsOf(g.ID) {
				fmt.Fprintf(&text, "  %s\n", shortName(g.ID, s))
			}
			if _, ok := m.Seeds[seedName(g.ID)]; ok {
				fmt.Fprintln(&text, "  seed")
			}
		}
		for _, name := range slices.Sorted(maps.Keys(m.Images)) {
			fmt.Fprintf(&text, "image %q %s, %d bytes\n", name, m.Images[name].Format, m.Images[name].Size)
		}
		for _, what := range m.leftovers() {
			fmt.Fprintf(&text, "leftover %s\n", what)
		}
	})
	if err != nil {
		return err.Error()
	}
	return text.String()
}

// String returns one line.
func (g *guest) String() string {
	text := fmt.Sprintf("guest %q %s", g.Name, g.State)
	for _, mark := range []struct {
		set  bool
		text string
	}{{g.Record == nil, "foreign"}, {g.Autostart, "autostart"}, {g.Suspended, "suspended"}} {
		if mark.set {
			text += ", " + mark.text
		}
	}
	return text
}

func (b *Backend) look(do func(*machine)) error {
	return b.store.view(context.Background(), func(m *machine) error { do(m); return nil })
}

func (b *Backend) outside(do func(*machine) error) error {
	return b.store.update(context.Background(), do)
}

func (b *Backend) meddle(name string, do func(*machine, *guest) error) error {
	return b.outside(func(m *machine) error {
		g, err := m.byName(name)
		if err != nil {
			return err
		}
		return do(m, g)
	})
}
