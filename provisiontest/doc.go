// Package provisiontest helps to test programs that use package provision, and
// backends for it.
//
// # Programs
//
// [NewBackend] makes a hypervisor in memory. It honours every field of a Spec
// and has every optional ability, unless BackendOptions.Missing takes some
// away, and it can be looked at and meddled with from outside: [Backend.Crash],
// [Backend.PowerOff], [Backend.SetDown]. [Faults] makes chosen calls fail,
// before or after they took effect, on any backend. [Clock] makes waiting take
// no time.
//
// # Backends
//
// [Run] checks that a backend keeps the contracts of package provision. Each
// case states its rule in words, and nothing is skipped: a feature that
// [provision.Host.Supports] declares must work, and one that it does not must
// fail with an error that matches [errors.ErrUnsupported], from the verb itself.
// The in-memory backend passes the same suite.
package provisiontest
