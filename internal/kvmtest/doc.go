// Package kvmtest has the long tests of package kvm: the conformance suite and the
// matrix of faults. It is a package of its own so that they run beside the others.
package kvmtest
