// Package kvmload has the tests of package kvm with many guests, at once and one after
// the other. One of them measures its own process, so nothing else may run in it.
package kvmload
