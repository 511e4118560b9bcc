package kvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// sentinels are all that callers branch on.
var sentinels = []error{
	provision.ErrNotFound, provision.ErrExists, provision.ErrState, provision.ErrInvalid, provision.ErrBusy, provision.ErrConflict,
	provision.ErrSuspended, provision.ErrUnavailable, provision.ErrOutcomeUnknown, errors.ErrUnsupported, fs.ErrPermission,
}

// Numbers of virErrorNumber, from libvirt's virterror.h and not from the RPC
// library, and what each of them means to a caller.
func TestClassifyCodes(t *testing.T) {
	for code, want := range map[uint32]error{
		42: provision.ErrNotFound, 50: provision.ErrNotFound, 80: provision.ErrNotFound,
		28: provision.ErrExists, 90: provision.ErrExists,
		55: provision.ErrState,
		68: provision.ErrBusy, 87: provision.ErrBusy,
		3: errors.ErrUnsupported, 74: errors.ErrUnsupported, 84: errors.ErrUnsupported,
		45: fs.ErrPermission, 88: fs.ErrPermission, 29: fs.ErrPermission,
		86: nil, 97: nil, 112: nil, // of the guest agent, which is not the hypervisor
		1: nil, 8: nil, 9: nil, 27: nil, 38: nil, 39: nil, 49: nil, 62: nil, 0: nil, 9999: nil,
	} {
		native := libvirt.Error{Code: code, Message: "what libvirt said"}
		err := classify(fmt.Errorf("while at it: %w", native))
		var have libvirt.Error
		require.True(t, errors.As(err, &have), "code %d", code)
		require.Equal(t, native, have)
		require.ErrorContains(t, err, "what libvirt said")
		require.True(t, hasCode(err, libvirt.ErrorNumber(code)))
		require.False(t, hasCode(err, libvirt.ErrorNumber(code+1)))
		for _, s := range sentinels {
			require.Equal(t, s == want, errors.Is(err, s), "code %d and %q", code, s)
		}
		if want == nil {
			require.ErrorContains(t, err, fmt.Sprintf("libvirt error %d:", code))
		}
	}
	require.Len(t, codes, 14, "a code that this table does not test")
}

// Every way in which a daemon goes away is the same to a caller.
func TestLost(t *testing.T) {
	for _, err := range []error{
		libvirt.ErrInterrupted, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.EINVAL, syscall.EPIPE, syscall.ECONNRESET, syscall.ECONNREFUSED,
		&net.OpError{Op: "read", Net: "unix", Err: os.NewSyscallError("read", syscall.ECONNRESET)},
		&net.OpError{Op: "write", Net: "unix", Err: os.NewSyscallError("write", syscall.EPIPE)},
		fmt.Errorf("libvirtd sent a packet of 3 bytes: %w", io.ErrUnexpectedEOF),
		&net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.ETIMEDOUT)},
		&net.OpError{Op: "read", Net: "tcp", Err: syscall.EHOSTUNREACH}, syscall.ENETUNREACH,
		&net.OpError{Op: "remote error", Err: errors.New("tls: bad record MAC")},
	} {
		require.True(t, lost(err), "%v", err)
		have := classify(fmt.Errorf("at work: %w", err))
		require.ErrorIs(t, have, provision.ErrUnavailable)
		require.ErrorIs(t, have, err)
		require.NotErrorIs(t, have, provision.ErrNotFound)
		require.True(t, lost(have), "a read is not tried again")
	}
	for _, err := range []error{
		nil, errors.New("other"), libvirt.Error{Code: 42}, context.Canceled, context.DeadlineExceeded, fs.ErrNotExist, syscall.ENOENT,
		provision.ErrUnavailable, errClosed, libvirt.ErrUnsupported, &net.OpError{Op: "dial", Net: "unix", Err: syscall.ENOENT},
		fmt.Errorf("%w: %w", fs.ErrPermission, io.EOF),
	} {
		require.False(t, lost(err), "%v", err)
	}
}

// What is classified already, or is none of libvirt's doing, stays as it is.
func TestClassifyLeaves(t *testing.T) {
	field := &provision.FieldError{Path: "image", Problem: "is required"}
	for _, err := range []error{
		nil, errors.New("other"), field, context.Canceled, context.DeadlineExceeded, errClosed, fmt.Errorf("x: %w", errClosed),
		fmt.Errorf("%w: late", provision.ErrUnavailable), fmt.Errorf("%w: %w", provision.ErrUnavailable, io.EOF),
	} {
		require.Equal(t, err, classify(err))
	}
	require.ErrorIs(t, errClosed, fs.ErrClosed)
	// Twice is once.
	once := classify(libvirt.ErrInterrupted)
	require.Equal(t, once, classify(once))
}

// Why a context ended: a deadline of ours is not the caller's.
func TestEnded(t *testing.T) {
	why := errors.New("the shop closes")
	for _, c := range []struct {
		cause    error
		is, isnt []error
	}{
		{nil, []error{context.Canceled}, []error{provision.ErrUnavailable}},
		{why, []error{context.Canceled, why}, []error{provision.ErrUnavailable}},
		{fmt.Errorf("%w: late", provision.ErrUnavailable), []error{provision.ErrUnavailable}, []error{context.Canceled, context.DeadlineExceeded}},
		{errClosed, []error{fs.ErrClosed}, []error{context.Canceled}},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		require.ErrorIs(t, dialError(ctx, syscall.ENOENT), provision.ErrUnavailable)
		require.ErrorIs(t, dialError(ctx, syscall.ENOENT), syscall.ENOENT)
		cancel(c.cause)
		for _, err := range []error{ended(ctx), dialError(ctx, syscall.ENOENT)} {
			for _, e := range c.is {
				require.ErrorIs(t, err, e)
			}
			for _, e := range c.isnt {
				require.NotErrorIs(t, err, e)
			}
		}
	}
}

// A daemon that asks for a login that this client has not says so in one of four
// ways; anything else keeps its meaning.
func TestGreetingError(t *testing.T) {
	for _, code := range []uint32{39, 45, 79, 94} {
		err := greetingError(libvirt.Error{Code: code, Message: "authentication required"})
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, "SASL")
		require.True(t, answered(err))
	}
	require.ErrorIs(t, greetingError(io.EOF), provision.ErrUnavailable)
	require.NotErrorIs(t, greetingError(libvirt.Error{Code: 1}), fs.ErrPermission)
}
