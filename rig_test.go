package provision_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// rig is a Host on a hypervisor in memory with a virtual clock.
type rig struct {
	*provision.Host
	t       *testing.T
	backend *backend
	clock   *provisiontest.Clock
	faults  *provisiontest.Faults
}

// backend is the one in memory, of which a test may change what it tells.
type backend struct {
	*provisiontest.Backend
	drift func(*provision.Status)
}

func (b *backend) Inspect(ctx context.Context, ref provision.Ref) (provision.Found, error) {
	f, err := b.Backend.Inspect(ctx, ref)
	if err == nil && b.drift != nil {
		b.drift(&f.Status)
	}
	return f, err
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newRig(t *testing.T, bo provisiontest.BackendOptions, ho provision.Options) *rig {
	t.Helper()
	r := &rig{t: t, clock: provisiontest.NewClock(noon), faults: provisiontest.NewFaults()}
	bo.Clock, ho.Clock = r.clock, r.clock
	if ho.Around == nil {
		ho.Around = r.faults.Around
	}
	r.backend = &backend{Backend: provisiontest.NewBackend(&bo)}
	require.NoError(t, r.backend.AddImage("debian-12"))
	require.NoError(t, r.backend.AddImage("debian-13"))
	h, err := provision.Open(t.Context(), r.backend, &ho)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	r.Host = h
	return r
}

func (r *rig) create(s provision.Spec) *provision.Guest {
	r.t.Helper()
	g, err := r.Create(r.t.Context(), s, nil)
	require.NoError(r.t, err)
	return g
}

// running makes and starts the smallest guest.
func (r *rig) running() *provision.Guest {
	r.t.Helper()
	g := r.create(small())
	require.NoError(r.t, g.Start(r.t.Context(), nil))
	return g
}

func (r *rig) state(g *provision.Guest) provision.State {
	r.t.Helper()
	st, err := g.Status(r.t.Context())
	require.NoError(r.t, err)
	return st.State
}

// ops lists the calls of the backend since the last time, as "op" or "op/step".
func (r *rig) ops(skip int) []string {
	var list []string
	for _, c := range r.faults.Calls()[skip:] {
		op := c.Op
		if c.Step != "" {
			op += "/" + c.Step
		}
		list = append(list, op)
	}
	return list
}

// rich uses every field of a Spec but Native.
func rich() provision.Spec {
	s := designSpec()
	s.Access = provision.Access{User: "admin", AuthorizedKeys: []string{secretKey()}, PasswordHash: secretHash}
	s.UserData = provision.UserData(secretData)
	return s
}
