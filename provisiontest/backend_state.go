package provisiontest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/guestforge/provision"
)

const machineVersion = 1

// machine is all that the hypervisor knows. Its JSON form is the state file.
type machine struct {
	Version   int                        `json:"version"`
	Guests    map[provision.ID]*guest    `json:"guests,omitempty"`
	Volumes   map[string]volume          `json:"volumes,omitempty"`
	Seeds     map[string]provision.ID    `json:"seeds,omitempty"` // to their owners
	Snapshots map[string]snapshot        `json:"snapshots,omitempty"`
	Images    map[string]provision.Image `json:"images,omitempty"`
	Partial   map[string]bool            `json:"partial,omitempty"` // imports that have not ended
	Log       []provision.Event          `json:"log,omitempty"`     // the newest events
	Logged    int64                      `json:"logged"`            // how many there ever were
	opts      *BackendOptions
}

// guest is one guest. Its Spec holds no secrets.
type guest struct {
	Name      string           `json:"name"`
	ID        provision.ID     `json:"id"`
	Record    provision.Record `json:"record"` // nil: foreign
	Spec      provision.Spec   `json:"spec"`
	State     provision.State  `json:"state"`
	Reason    string           `json:"reason,omitempty"`
	Until     time.Time        `json:"until,omitzero"` // when starting or stopping ends
	Autostart bool             `json:"autostart,omitempty"`
	Suspended bool             `json:"suspended,omitempty"`
	Console   string           `json:"console,omitempty"`
	Runs      int              `json:"runs,omitempty"`  // how often it was started
	Ran       time.Duration    `json:"ran,omitempty"`   // how long it ran in this run, before Since
	Since     time.Time        `json:"since,omitzero"`  // when it began to run, if it does
	Next      *provision.Spec  `json:"next,omitempty"`  // what it becomes when it is off
	Files     map[string]bool  `json:"files,omitempty"` // that were made in it, by path

	// Redefined is what somebody changed in the definition.
	Redefined []provision.Change `json:"redefined,omitempty"`
}

type volume struct {
	Owner provision.ID `json:"owner"`
	Size  uint64       `json:"size"`
	Base  string       `json:"base,omitempty"` // the image it was made from
	Made  time.Time    `json:"made,omitzero"`
}

func newMachine() *machine {
	return &machine{Version: machineVersion}
}

// advance moves guests on whose time has come, and reports whether any was.
func (m *machine) advance() bool {
	now, moved := m.opts.Clock.Now(), false
	for _, g := range m.sorted() {
		if g.Until.IsZero() || now.Before(g.Until) {
			continue
		}
		moved = true
		if g.State == provision.StateStarting {
			m.boot(g)
		} else {
			m.set(g, provision.StateStopped, "shut down")
		}
	}
	return moved
}

// boot ends the start of a guest.
func (m *machine) boot(g *guest) {
	text := "BOOTED-OK " + g.Spec.Hostname + "\n"
	if m.opts.Console != nil {
		text = m.opts.Console(g.Name)
	}
	g.Console += text
	m.set(g, provision.StateRunning, "")
}

// set changes the state of a guest, and says so.
func (m *machine) set(g *guest, s provision.State, reason string) {
	g.Ran, g.Since = m.ran(g), time.Time{}
	if s.Live() && s != provision.StatePaused {
		g.Since = m.opts.Clock.Now()
	}
	g.State, g.Reason, g.Until = s, reason, time.Time{}
	g.settle()
	m.note(provision.EventState, g)
}

// note adds an event to the log, and forgets the oldest ones.
func (m *machine) note(t provision.EventType, g *guest) {
	e := provision.Event{Type: t, Name: g.Name, ID: g.ID, State: g.State, Reason: g.Reason, Time: m.opts.Clock.Now()}
	if t == provision.EventDeleted {
		e.State, e.Reason = provision.StateAbsent, ""
	}
	m.Log = append(m.Log, e)
	m.Logged++
	if over := len(m.Log) - m.opts.EventBuffer; over > 0 {
		m.Log = slices.Delete(m.Log, 0, over)
	}
}

// sorted returns the guests by name.
func (m *machine) sorted() []*guest {
	return slices.SortedFunc(maps.Values(m.Guests), func(a, b *guest) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

// byID returns a guest, or ErrNotFound.
func (m *machine) byID(id provision.ID) (*guest, error) {
	if g, ok := m.Guests[id]; ok {
		return g, nil
	}
	return nil, fmt.Errorf("guest %s: %w", id, provision.ErrNotFound)
}

// byName returns a guest, or ErrNotFound.
func (m *machine) byName(name string) (*guest, error) {
	for _, g := range m.Guests {
		if g.Name == name {
			return g, nil
		}
	}
	return nil, fmt.Errorf("guest %q: %w", name, provision.ErrNotFound)
}

// objects lists everything, one line each, sorted.
func (m *machine) objects() []string {
	list := m.parts(func(provision.ID) bool { return true })
	for id, g := range m.Guests {
		list = append(list, fmt.Sprintf("guest %q %s", g.Name, id))
	}
	for name := range m.Images {
		list = append(list, "image "+name)
	}
	slices.Sort(list)
	return list
}

// leftovers lists what belongs to no guest.
func (m *machine) leftovers() []string {
	return m.parts(func(owner provision.ID) bool { return m.Guests[owner] == nil })
}

// parts lists volumes, seeds and snapshots of chosen owners, and all unfinished imports.
func (m *machine) parts(of func(owner provision.ID) bool) []string {
	var list []string
	for name, v := range m.Volumes {
		if of(v.Owner) {
			list = append(list, "volume "+name)
		}
	}
	for name, owner := range m.Seeds {
		if of(owner) {
			list = append(list, "seed "+name)
		}
	}
	for name, s := range m.Snapshots {
		if of(s.Owner) {
			list = append(list, "snapshot "+name)
		}
	}
	for name := range m.Partial {
		list = append(list, "partial image "+name)
	}
	slices.Sort(list)
	return list
}
