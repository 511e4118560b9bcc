package provision

import (
	"context"
	"io"
	"iter"
	"time"
)

// Backend is what the author of a hypervisor backend implements; programs use
// [Host] and [Guest] instead. Host is its only caller, and these are its
// promises: Specs are valid, complete with defaults and only ask for what
// Probe said is honoured; operations that change one guest are serialised;
// verbs are called only in states in which they mean something. In return:
//
//   - Every method is safe for concurrent use and returns promptly when its
//     context ends, or after a deadline of the backend's own.
//   - Errors match the sentinels of this package where one fits, by %w beside
//     the native error. A hypervisor that does not answer is [ErrUnavailable]
//     and never "no such guest" or an empty list.
//   - Changing methods are idempotent: what is already so is success.
//   - A guest's object in the hypervisor carries the Record that Host gave, and
//     the ID. It is the first thing that Create makes and the last that Delete
//     removes, and names of whatever else belongs to the guest follow from the
//     ID alone; so what a killed process leaves behind can always be removed.
//
// More abilities are added by implementing the optional interfaces below. To
// wrap a backend, embed its concrete type, or the optional ones are lost; for
// tracing, retry and the like there is Options.Around. Run
// [github.com/guestforge/provision/provisiontest.Run] in the backend's tests.
type Backend interface {
	// Probe looks at the machine, once, when a Host is opened.
	Probe(ctx context.Context) (Info, error)
	// Create makes the guest, stopped, in steps. When it fails, Host calls
	// Delete; so it need not clean up.
	Create(ctx context.Context, g *NewGuest, s *Steps) error
	// Start returns when the hypervisor runs the guest, or at least has it in
	// StateStarting. A guest that crashed is started.
	Start(ctx context.Context, id ID) error
	// Stop asks the guest to shut down and returns at once (Shutdown), or
	// returns when the guest is dead (Kill).
	Stop(ctx context.Context, id ID, how StopMode) error
	// Delete removes all that belongs to the guest, in steps, whatever Create
	// or an earlier Delete left of it. The guest may be running only if it is
	// incomplete; then it is killed. An absent guest is success.
	Delete(ctx context.Context, id ID, s *Steps) error
	// Inspect returns one guest, foreign ones included, or ErrNotFound.
	Inspect(ctx context.Context, ref Ref) (Found, error)
	// List returns all guests, foreign ones included, or an error: never a part.
	List(ctx context.Context) ([]Found, error)
	// SetRecord replaces the Record of a guest, atomically.
	SetRecord(ctx context.Context, id ID, r Record) error
	// Close ends connections and goroutines. Guests are left as they are.
	Close() error
}

// Ref names a guest for Inspect: by ID or, where that is empty, by Name.
type Ref struct {
	ID   ID
	Name string
}

// Record is what Host keeps with a guest: identity, Key, labels, the Spec
// without its secrets, reasons of suspension. Backends store it and do not look
// into it. It is one line of printable ASCII, up to 512 KiB.
type Record []byte

// Found is a guest as the backend sees it. Host adds to the Status what the
// Record says (Key, Managed, Suspended, Labels, Image, Created), so the backend
// leaves those zero.
type Found struct {
	Status Status
	Record Record // nil for a foreign guest
}

// NewGuest is what Backend.Create gets. The backend must not keep it.
type NewGuest struct {
	ID     ID
	Spec   *Spec // valid and defaulted
	Record Record
}

// StopMode says how Backend.Stop stops.
type StopMode int

// Values of [StopMode].
const (
	Shutdown StopMode = iota // ask, and return at once
	Kill                     // return when dead
)

// Info is what Probe finds out about a machine and its hypervisor.
type Info struct {
	Kind    string `json:"kind"`    // "kvm", "lxc", "openvz", …
	Version string `json:"version"` // of the hypervisor, for people
	// Machine identifies the set of guests: two Hosts with the same Kind and
	// Machine manage the same ones and exclude each other while they change
	// them. Empty: the guests are known to this Backend value alone.
	Machine   string `json:"machine,omitempty"`
	CPUs      int    `json:"cpus"`   // of the machine
	Memory    Bytes  `json:"memory"` // of the machine
	OwnKernel bool   `json:"ownKernel"`
	// Honours lists the fields of Spec that Create puts into effect. A Spec
	// that uses any other is refused.
	Honours []Feature `json:"honours"`
	// Missing says why a feature cannot be had on this machine although the
	// backend has code for it, or gives a better reason for what it has not.
	Missing map[Feature]string `json:"missing,omitempty"`
}

// Pauser freezes guests in memory.
type Pauser interface {
	Pause(ctx context.Context, id ID) error
	Resume(ctx context.Context, id ID) error
}

// Autostarter starts guests when their host boots.
type Autostarter interface {
	SetAutostart(ctx context.Context, id ID, on bool) error
}

// Suspender keeps others from starting a suspended guest, as far as the
// hypervisor can. Host refuses its own starts without it.
type Suspender interface {
	SetSuspended(ctx context.Context, id ID, on bool) error
}

// Preflighter judges a Spec against the machine before anything is made: whether
// the image is there and fits, for example. It returns the limits of the Spec as they
// would hold, and every problem it sees, joined.
type Preflighter interface {
	Preflight(ctx context.Context, s *Spec) ([]Limit, error)
}

// ImpactJudge says what it would take to change a field of an existing guest.
// Host asks it only for fields whose impact is not the same on all backends;
// without it, those take a restart.
type ImpactJudge interface {
	Impact(st Status, c Change) (impact Impact, reason string)
}

// Drifter compares the hypervisor's own definition of a guest with the one that
// it would get if it were made now.
type Drifter interface {
	// Drift returns what differs beyond the fields of have, which is what was
	// asked for with what Inspect found over it: what somebody changed by other
	// means, or what this version makes otherwise. Paths are the hypervisor's;
	// Host puts "definition/" before them. Secrets do not stand in values.
	Drift(ctx context.Context, id ID, have *Spec) ([]Change, error)
}

// ConsoleLogger keeps what guests write to their serial console from each start
// on.
type ConsoleLogger interface {
	// ConsoleLog returns a part of the log that begins at offset: empty where
	// nothing has been written there yet.
	ConsoleLog(ctx context.Context, id ID, offset int64) ([]byte, error)
}

// Watcher reports changes as they happen, foreign ones included.
type Watcher interface {
	// Watch yields events until the context ends or the caller stops. It
	// fails with an error as its last element. The events after the first,
	// of type EventReady, are complete from there on; where the caller is too
	// slow, EventLost stands for what was dropped.
	Watch(ctx context.Context) iter.Seq2[Event, error]
}

// Imager keeps the images that guests are made from.
type Imager interface {
	Images(ctx context.Context) ([]Image, error)
	// ImportImage stores what r yields. It commits only after r returned
	// io.EOF: any other error from r means that nothing may be left.
	ImportImage(ctx context.Context, img *NewImage, r io.Reader, s *Steps) (Image, error)
	// RemoveImage removes an image and leftovers of an import. Host has made
	// sure that no guest uses it.
	RemoveImage(ctx context.Context, name string) error
}

// NewImage is what Imager.ImportImage gets.
type NewImage struct {
	Name   string
	Format string // as the caller stated it; never to be guessed
	Size   int64  // of what the reader yields
	// Sum returns the SHA-256 of all that was read. It is valid after io.EOF.
	Sum func() string
	// Imported is the time to record.
	Imported time.Time
}

// Checker examines the machine.
type Checker interface {
	Check(ctx context.Context) ([]Finding, error)
}
