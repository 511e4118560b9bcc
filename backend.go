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
	// Delete; so it need not clean up. The first step makes the guest's object:
	// once it is over, Preflight of another guest counts what this one was
	// promised.
	Create(ctx context.Context, g *NewGuest, s *Steps) error
	// Start returns when the hypervisor runs the guest, or at least has it in
	// StateStarting. A guest that crashed is started.
	Start(ctx context.Context, id ID) error
	// Stop asks the guest to shut down and returns at once (Shutdown), or
	// returns when the guest is dead (Kill).
	Stop(ctx context.Context, id ID, how StopMode) error
	// Delete removes all that belongs to the guest, its snapshots too, in steps,
	// whatever Create or an earlier Delete left of it. The guest may be running only if it is
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
// leaves those zero. Of the limits the backend gives those that are in effect,
// whoever set them, with Have in the text form of the Spec's field, and what it
// knows that is wrong with them; Host adds Want and compares.
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
	// Untried are those of Honours that Probe could not tell without starting
	// something: a [Trier] is asked when somebody wants one.
	Untried []Feature `json:"untried,omitempty"`
}

// Trier finds out by trials what Probe leaves open. It remembers what it found: that
// a feature cannot be had, for a short time.
type Trier interface {
	// Try returns nil if a feature of Info.Untried can be had, and an
	// [UnsupportedError] with the reason if it cannot.
	Try(ctx context.Context, f Feature) error
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

// AgentStopper shuts a guest down through a program that listens inside of it,
// which works where the guest does not hear the hypervisor.
type AgentStopper interface {
	// StopByAgent returns when the agent has taken the request, or may have: the
	// guest is then on its way. It is bounded by a deadline of the backend's own,
	// of seconds. A guest that has no way to an agent is errors.ErrUnsupported,
	// at once; any other error means that the agent does not answer now.
	StopByAgent(ctx context.Context, id ID) error
}

// Sweeper finds what is left on the machine of guests and images that are gone.
type Sweeper interface {
	// Orphans lists what is ours by its name and belongs to no guest, foreign
	// ones included, and to no image. What a running Create or import makes may
	// be among it only as long as Orphan.Modified says that it is young, or, of
	// images, under the image's name, which Host then finds locked.
	Orphans(ctx context.Context) ([]Orphan, error)
	// RemoveOrphan removes one by its Kind, Name, ID and Image, after it has
	// looked at it again, and at no other. What is none, or none any more, or was
	// written to after before, is ErrConflict and is left alone.
	RemoveOrphan(ctx context.Context, o Orphan, before time.Time) error
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

// Resizer changes the sizes and limits of existing guests: cpu.count, cpu.limit,
// cpu.weight, cpu.pin, memory.size, memory.swap, memory.guaranteed, disks[i].size,
// disks[i].inodes, disks[i].iops, disks[i].bps, nics[i].rate and limits. A backend
// that has it should be an [ImpactJudge] too, or a guest that runs must be restarted
// for each of them.
type Resizer interface {
	// FitResize judges want against the machine before anything is changed, as a
	// [Preflighter] does for a new guest, but with what the guest itself has now
	// counted as free and without its image, which may be gone. It returns the
	// limits of want as they would hold, and every problem, joined: one that is
	// about a field is a FieldError, want of room is ErrCapacity.
	FitResize(ctx context.Context, id ID, want *Spec) ([]Limit, error)
	// Resize gives the guest the sizes and limits of want, in steps, disks last, as
	// they cannot be made smaller again. All else in want is as the guest has it;
	// it is complete with defaults, and without secrets and Native. What Impact
	// calls live takes effect now in a guest that is on, the rest with its next
	// start, in a guest that is off all of it. Zero takes a limit away; a disk of
	// size zero stays as it is. What is already so is left alone, whoever
	// made it so: when Resize fails or is killed, Host calls it again, with the old
	// values or with new ones. What is in effect afterwards is what Inspect says.
	Resize(ctx context.Context, id ID, want *Spec, s *Steps) error
}

// Snapshotter keeps the disks of guests as they were at a moment. Nothing else is
// part of a snapshot: neither record nor limits nor memory.
type Snapshotter interface {
	// Snapshot takes a snapshot of all disks of the guest, in steps. A guest that is
	// on is frozen for the moment that it takes, and goes on in the state that it was
	// in, whatever fails. The name is not taken. One that was interrupted is none: it is
	// never listed, and its remains are removed by the next Snapshot of the guest, by
	// DeleteSnapshot, which Host calls when Snapshot fails, or by Delete.
	Snapshot(ctx context.Context, id ID, n *NewSnapshot, s *Steps) (Snapshot, error)
	// Snapshots lists the snapshots of the guest that are whole.
	Snapshots(ctx context.Context, id ID) ([]Snapshot, error)
	// RestoreSnapshot puts the disks of a guest that is off back as they were, in
	// steps; their sizes stay as they are now. A disk is exchanged as a whole, at the
	// end, so that whoever starts the guest in between finds one disk or the other.
	// When it fails or is killed, Host starts the guest only after it was called
	// again. The snapshot stays. Absent, it is ErrNotFound.
	RestoreSnapshot(ctx context.Context, id ID, name string, s *Steps) error
	// DeleteSnapshot removes a snapshot, or what an interrupted Snapshot or
	// DeleteSnapshot left of it, in steps. An absent one is success.
	DeleteSnapshot(ctx context.Context, id ID, name string, s *Steps) error
}

// NewSnapshot is what Snapshotter.Snapshot gets.
type NewSnapshot struct {
	Name    string    // valid: a guest could have it
	Created time.Time // to record
}

// Drifter compares the hypervisor's own definition of a guest with the one that
// it would get if it were made now.
type Drifter interface {
	// Drift returns what differs beyond the fields of have, which is what was
	// asked for with what Inspect found over it: what somebody changed by other
	// means, or what this version makes otherwise. A NIC that the guest no longer
	// has is zero in have, so that the others keep their numbers. Paths are the
	// hypervisor's; Host puts "definition/" before them. Secrets do not stand in
	// values.
	Drift(ctx context.Context, id ID, have *Spec) ([]Change, error)
}

// ConsoleLogger keeps what guests write to their serial console from each start
// on.
type ConsoleLogger interface {
	// ConsoleLog returns a part of the log that begins at offset: empty where
	// nothing has been written there yet.
	ConsoleLog(ctx context.Context, id ID, offset int64) ([]byte, error)
}

// ConsoleOpener connects to the serial consoles of guests.
type ConsoleOpener interface {
	// OpenConsole connects to the console of a guest that is on. The context
	// bounds the opening; Close, or that of the backend, ends the connection and
	// whatever Read or Write is under way. While somebody else is connected it is
	// ErrBusy, or with Force the other one is disconnected.
	OpenConsole(ctx context.Context, id ID, opts ConsoleOptions) (io.ReadWriteCloser, error)
}

// Execer runs programs in guests.
type Execer interface {
	// Exec does what [Guest.Exec] says, in a guest that runs. Host has checked
	// argv and opts, which is not nil, and TTY is so only where FeatureExecTTY can
	// be had; its size is then complete. When the context ends, what was started is
	// killed before Exec returns, as far as that can be done in a few seconds.
	Exec(ctx context.Context, id ID, argv []string, opts *ExecOptions) (ExecResult, error)
	// ExecReady returns nil when Exec could run a program now, and ErrUnavailable
	// while what runs them inside does not answer.
	ExecReady(ctx context.Context, id ID) error
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
	// sure that no guest that it knows of needs it.
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

// ImageReleaser tells guests that stand on an image from those that have all of it
// in disks of their own. Without it, a guest needs the image that it was made from
// for as long as it is there. A snapshot that stands on the image counts as its guest.
type ImageReleaser interface {
	// NeedsImage reports whether the guest, whose record names the image, would
	// lose anything with it. In doubt it does. A guest that is gone does not.
	NeedsImage(ctx context.Context, id ID, image string) (bool, error)
}

// Checker examines the machine.
type Checker interface {
	Check(ctx context.Context) ([]Finding, error)
}

// Renderer shows what Create would hand to the hypervisor.
type Renderer interface {
	// Render returns the native configuration of the guest as text, and changes
	// nothing. The same guest gives the same text. No secret is in it.
	Render(ctx context.Context, g *NewGuest) ([]byte, error)
}
