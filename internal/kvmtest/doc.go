// Package kvmtest has the long tests of package kvm: the conformance suite, the matrix
// of faults, and many guests at once. It is a package of its own so that they run
// beside the others.
package kvmtest
