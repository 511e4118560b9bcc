// Package provision makes and runs guests, virtual machines and containers, in
// the same way on different hypervisors: the program says what it wants in a
// [Spec], and a [Host] makes it, starts and stops it, tells its state and
// removes it.
//
//	host, err := provision.Open(ctx, kvm.New(nil), nil)
//	if err != nil {
//		return err
//	}
//	defer host.Close()
//	guest, err := host.Create(ctx, provision.Spec{
//		Name: "web1", Image: "debian-12", Memory: provision.Memory{Size: 2 * provision.GiB},
//	}, nil)
//	if err != nil {
//		return err
//	}
//	return guest.Start(ctx, nil)
//
// Programs use the concrete types Host and [Guest]. What talks to a hypervisor
// is a [Backend]; it has a package of its own, kvm for virtual machines and lxc for
// containers, and programs do not call its verbs. Package provisiontest has a backend
// in memory, on which the examples here run.
//
// # Hosts and guests
//
// [Open] probes a machine, once, and fails early where the hypervisor does not
// answer. [Host.Info] tells what was found. The Host owns the backend; when it
// is closed, guests are left as they are.
//
// A [Guest] is a handle that holds a name and an [ID] and no state: each call
// asks the hypervisor. The name is the caller's. The ID is made at Create,
// never used again, and kept inside the hypervisor's object. A handle whose
// guest is gone answers [ErrNotFound], even if another guest has the name by
// now.
//
// Guests that other tools made are listed too, with Managed false in their
// [Status]; every verb that would change them is refused with [ErrState].
//
// Verbs may be repeated. To start a running guest, to stop one that is off and
// to delete one that is gone succeed and do nothing. A verb that has no meaning
// in a state is [ErrState], and the text names verb and state. A hypervisor that
// does not answer is [ErrUnavailable]; it never makes a guest look stopped or
// gone.
//
// # Specs
//
// A [Spec] is plain data whose zero values are the documented defaults. It can
// be written in Go, or read from YAML or JSON by [ReadManifest], where the keys
// are the field names in lowerCamelCase. Amounts have units there: [Bytes] such
// as 2GiB and [BitRate] such as 100Mbit; units that tools disagree on are
// refused.
//
// [Spec.Validate] reports all that is wrong at once, each as a [FieldError] with
// the path of the field. ReadManifest reports each mistake in a text as a
// [ManifestError] with its line, and its column where that is known.
//
// The Key of a Spec is the caller's own order id. It makes [Host.Create] safe to
// repeat: a Key seen before returns the guest that is there, and [ErrConflict]
// where that one was made from another Spec.
//
// # What a backend can do
//
// Backends differ, and a field that one cannot honour is never ignored. A
// [Feature] names a verb or a field of Spec. [Host.Supports] returns nil if it
// can be had on this machine, and otherwise an [UnsupportedError] that says
// which feature, which backend and why. It matches [errors.ErrUnsupported], and
// the verb itself, or Create with such a field, fails with the same error.
// [Spec.Features] lists what a Spec asks for, and [Features] all that there is.
//
// A limit may be accepted and yet hold only in part. [Status] and [Plan] list
// every [Limit] that the backend told of as enforced, partial or not enforced,
// with the reason. With Needs.Strict all that is less than enforced is an error
// before anything is made.
//
// # Plans
//
// [Host.Plan] is a dry run of Create: it changes no guest, and leaves nothing; a
// backend may try on a guest of its own, for a moment, what the machine can do.
// For a new guest it lists the fields that would be set. For one that is there it
// compares the Spec with what the hypervisor tells of it now, and otherwise with
// what it was made from, and gives each [Change] an [Impact]: none, live, at the
// next restart, only by making the guest anew, or impossible. Secrets are compared
// without being shown. [Plan.String] is stable, one line a field.
//
// A hypervisor's definition of a guest has more than a Spec says. Where a backend
// can tell ([Drifter]; kvm and lxc can), a plan for a guest that is there also lists what
// differs between its definition and that of a guest made now by this version of
// the library, under paths that begin with "definition/":
//
//	~ definition/devices/disk[target/@dev='vda']/driver/@cache: unsafe -> none
//
// Have and Want are values, or elements as text, or empty where there is none. The
// rest of the path is the hypervisor's: for kvm as in package domainxml. Nothing in
// the library puts such a difference right; a newer version may see ones that
// nobody made.
//
// Create does not change a guest that exists, and neither does anything else on
// its own account: a plan tells, the program decides.
//
// # Errors
//
// Verbs of Host and Guest that fail return an error that holds one [Error], with
// the verb, the backend and the guest. Programs branch on the cause, by
// [errors.Is]: [ErrNotFound], [ErrExists], [ErrState], [ErrInvalid], [ErrBusy],
// [ErrConflict], [ErrSuspended], [ErrCapacity], [ErrNotReady], [ErrUnavailable], and beside them
// [errors.ErrUnsupported], [io/fs.ErrPermission], and [io/fs.ErrClosed] after
// [Host.Close]. Native errors of the hypervisor stay reachable by [errors.As].
//
// After [ErrUnavailable] it is not known whether a change took effect;
// [ErrOutcomeUnknown] beside it, or beside the context's error, says that it may
// have, and may yet. All verbs are made so that the same call again is safe.
//
// # Contexts, undo and concurrency
//
// A context bounds the call, not the guest: when it ends, the call returns with
// the context's error (and its cause, where one was given), and guests that run
// go on. A Create that
// fails or is cancelled removes what it made, for which it has a time of its own
// (Options.UndoTimeout). If that fails too, the errors are joined, the cause
// first.
//
// Host and Guest are safe for use by many goroutines. Changes of different
// guests run in parallel. Those of one guest run one after the other: in all
// goroutines of a process, and in all processes of a machine that use the same
// Options.LockDir, for backends whose guests outlive the process. Who waits for
// a guest until the context ends gets [ErrBusy].
//
// Options.Around is called around every call of the backend and around each step
// of a long one. It is the place for tracing, retry and audit.
//
// # Crashes and incomplete guests
//
// Create writes a mark before it makes anything else and clears it last. When
// the process is killed in between, the guest is in [StateIncomplete]. A repeated
// Create with the same name and Key replaces it, and [Guest.Delete] removes all
// of it; other verbs answer ErrState. A Delete that was interrupted leaves an
// incomplete guest too, and the next Delete goes on. Nothing but the hypervisor
// keeps this knowledge; there is no database.
//
// [Host.Orphans] lists these guests, and what is left on the machine of guests
// that somebody removed by other means, with the evidence. [Host.RemoveOrphan]
// removes what it is told to, after a second look.
//
// # Larger guests and snapshots
//
// [Guest.Resize] takes the whole Spec of a larger, or smaller, plan and gives the
// guest its sizes and limits, while it runs where the backend can, or else with its
// next start. It is all or nothing, as Create is, and refuses a Spec that differs in
// anything else. Disks only grow. [Guest.Snapshot] keeps the disks of a guest, and
// nothing else of it; [Guest.RestoreSnapshot] brings them back.
//
// # Suspension
//
// [Guest.Pause] freezes processors. [Guest.Suspend] is the verb of billing: the
// guest is stopped, does not start with its host, and every start through this
// package is [ErrSuspended] until [Guest.Unsuspend] has lifted all reasons. Then
// it is started if it ran before. Where the backend is a [Suspender], other tools
// are kept from starting it as far as the hypervisor can; where they start it all
// the same, Reason, an event and a finding of [Host.Check] say so.
//
// # Events, waiting and progress
//
// [Host.Guests] and [Host.Events] return sequences that run on the goroutine of
// the caller and end with an error as their last element; leaving the loop ends
// them. Guests asks when the loop begins, so that each loop sees the guests
// anew. Events are hints: [Guest.Status] is the truth, and after [EventLost] the
// guests should be listed again.
//
// [Guest.Wait] waits for a [Condition]: a state, a text on the console, an address, a
// guest that runs programs, or the end of the guest. It survives a short absence of
// the hypervisor. Callbacks for [Progress] run on the goroutine of the call, in
// order.
//
// # Secrets
//
// User data, authorized keys and the password hash of a [Spec] are for the guest
// alone. Errors, logs and plans do not hold them; what is kept with the
// hypervisor's object has digests of them, keyed with the guest's ID. The same
// goes for Native. Labels and Key are not secret: they are kept and shown. Plain
// passwords are refused. To print or log a Spec does not show them; its JSON and
// YAML forms do.
//
// # Native settings
//
// Spec.Native holds the settings of one backend that no other has, in a type of
// its package that implements [Native]. A Native for another backend is refused
// as unsupported. It has no text form; programs that set it have chosen their
// hypervisor. The concrete type of a backend may have more methods, but those
// know nothing of the locks and rules of Host.
//
// # Writing a backend
//
// A backend implements [Backend], nine methods, and as many of the optional
// interfaces as it can do honestly: [Pauser], [Autostarter], [Suspender],
// [AgentStopper], [Preflighter], [Trier], [ImpactJudge], [Drifter], [Renderer],
// [ConsoleLogger], [ConsoleOpener], [Execer], [StatsReader], [Addresser], [Watcher],
// [Imager], [ImageReleaser], [Resizer], [Snapshotter], [Checker] and [Sweeper]. Host finds them by type
// assertion: what a type implements it declares, unless [Info].Missing says why not
// on this machine. Fields of Spec that Create puts into effect are declared in
// Info.Honours; those that only a trial can tell of, in Info.Untried too.
//
// Host does what is the same everywhere: validation and defaults, identity, keys,
// locks, undo, waiting, error wrapping. The comment of Backend says what Host
// promises and what it expects. The one thing a backend has to store is the
// [Record], a line of text.
//
// The long operations of a backend run in [Steps], each with a name, so that
// tests can let every one of them fail, or kill the process there.
// provisiontest.Run checks a backend against the contracts, with names in words
// for each rule.
//
// # Compatibility
//
// The names and text forms of Spec and Status in YAML and JSON stay as they are;
// fields may be added. Structs may grow: write their literals with field names.
// Optional interfaces and methods of Host and Guest may be added. A Record that
// a newer version wrote, and this one would misread, makes a guest unmanaged,
// with the reason, and not a guess.
package provision
