//go:build linux

package testrig

import (
	"context"
	"strconv"
)

// Virsh runs virsh on the private libvirtd and returns its standard output.
// The error quotes its standard error.
func (l *Libvirt) Virsh(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "virsh", append([]string{"-c", l.URI}, args...)...)
}

// Inside runs a program in the network and mount namespaces, as in
// l.Inside(ctx, "ping", "-c1", "192.0.2.10"), and returns its standard output.
func (l *Libvirt) Inside(ctx context.Context, name string, args ...string) (string, error) {
	return run(ctx, "nsenter", append([]string{"-t", strconv.Itoa(l.PID), "-n", "-m", "--", name}, args...)...)
}
