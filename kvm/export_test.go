package kvm

import "time"

// SetReconcile sets the time between looks at what no event told of.
func (b *Backend) SetReconcile(d time.Duration) { b.reconcile = d }

// AgeConnections makes connections that are put aside look old.
func (b *Backend) AgeConnections() {
	b.conns.mu.Lock()
	defer b.conns.mu.Unlock()
	for _, c := range b.conns.idle {
		c.used = c.used.Add(-time.Hour)
	}
}
