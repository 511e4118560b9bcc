package kvm

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guestforge/provision"
)

// All that is under way stays below the 20 calls that libvirtd works on by default.
func TestBudgets(t *testing.T) {
	const events = 1
	sum := maxTransfers + events
	for r, n := range budgets {
		require.Positive(t, n, roleNames[r])
		sum += n
	}
	require.Less(t, sum, 20)
	require.Less(t, jobsOfNone, budgets[roleJob])
	require.Less(t, jobsOfGuest, budgets[roleJob]-jobsOfNone+1)
}

// One role cannot use up the connections of another, nor one guest or the
// volumes those of all jobs.
func TestRolesAreSeparate(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := newSlots()
	soon, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, fmt.Errorf("%w: late", provision.ErrUnavailable))
	defer cancel()
	fill := func(r role, guest string, want int) (leave []func()) {
		for range want {
			l, err := s.enter(t.Context(), r, guest)
			require.NoError(t, err)
			leave = append(leave, l)
		}
		_, err := s.enter(soon, r, guest)
		require.ErrorIs(t, err, provision.ErrUnavailable)
		require.NotErrorIs(t, err, provision.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "nothing was sent")
		return leave
	}
	all := fill(roleJob, "", jobsOfNone)
	all = append(all, fill(roleJob, "hung", jobsOfGuest)...)
	all = append(all, fill(roleJob, "other", 1)...)
	all = append(all, fill(roleQuery, "", budgets[roleQuery])...)
	all = append(all, fill(roleStream, "", budgets[roleStream])...)
	for _, leave := range all {
		leave()
	}
	require.Empty(t, s.per, "nothing is kept of guests that have no jobs")
	for _, used := range s.free {
		require.Empty(t, used)
	}
}

// Uploads, copies and wipes have one bound.
func TestTransfersAreFew(t *testing.T) {
	cs := &conns{transfers: make(chan struct{}, maxTransfers)}
	var all []func()
	for range maxTransfers {
		leave, err := cs.enterTransfer(t.Context())
		require.NoError(t, err)
		all = append(all, leave)
	}
	b := New(nil)
	b.conns.transfers = cs.transfers
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.wipe(soon, libvirt.StorageVol{Name: "v"}), context.DeadlineExceeded, "a wipe waits for its turn")
	for _, leave := range all {
		leave()
	}
	require.Empty(t, cs.transfers)
}
