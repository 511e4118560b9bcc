// Package debiantest boots a real distribution on a private libvirtd and compares what
// is inside with what was asked for. It is a package of its own so that it runs beside
// the tests of the others: under emulation it takes minutes.
package debiantest
