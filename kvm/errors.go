package kvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

var errEventsEnded = fmt.Errorf("%w: the connection for events ended", provision.ErrUnavailable)

var errNoEvents = errors.New("libvirtd sends no events although guests changed: subscribing anew")

var errClosed = fmt.Errorf("kvm backend: %w", fs.ErrClosed)

// codes maps libvirt's error numbers (virErrorNumber in virterror.h) to what
// callers branch on.
var codes = map[libvirt.ErrorNumber]error{
	libvirt.ErrNoDomain:             provision.ErrNotFound,
	libvirt.ErrNoStorageVol:         provision.ErrNotFound,
	libvirt.ErrNoDomainMetadata:     provision.ErrNotFound,
	libvirt.ErrDomExist:             provision.ErrExists,
	libvirt.ErrStorageVolExist:      provision.ErrExists,
	libvirt.ErrOperationInvalid:     provision.ErrState,
	libvirt.ErrOperationTimeout:     provision.ErrBusy,
	libvirt.ErrResourceBusy:         provision.ErrBusy,
	libvirt.ErrNoSupport:            errors.ErrUnsupported,
	libvirt.ErrOperationUnsupported: errors.ErrUnsupported,
	libvirt.ErrArgumentUnsupported:  errors.ErrUnsupported,
	libvirt.ErrAuthFailed:           fs.ErrPermission,
	libvirt.ErrAccessDenied:         fs.ErrPermission,
	libvirt.ErrOperationDenied:      fs.ErrPermission,
}

// classify adds the sentinel to an error of libvirt or of the connection; the
// native error stays reachable.
func classify(err error) error {
	var answer libvirt.Error
	switch {
	case err == nil || errors.Is(err, provision.ErrUnavailable) || errors.Is(err, errClosed) || errors.Is(err, fs.ErrPermission):
		return err
	case errors.As(err, &answer):
		if class, ok := codes[libvirt.ErrorNumber(answer.Code)]; ok {
			return fmt.Errorf("%w: libvirt: %w", class, err)
		}
		return fmt.Errorf("libvirt error %d: %w", answer.Code, err)
	case lost(err):
		return fmt.Errorf("%w: the connection to libvirtd was lost: %w", provision.ErrUnavailable, err)
	}
	return err
}

// lost recognises what the RPC library returns when the daemon goes away. EINVAL
// is its answer on a connection that is closed already.
func lost(err error) bool {
	if errors.Is(err, fs.ErrPermission) {
		return false // refused, which is an answer
	}
	for _, e := range []error{libvirt.ErrInterrupted, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.EINVAL, syscall.EPIPE, syscall.ECONNRESET, syscall.ECONNREFUSED,
		syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, e) {
			return true
		}
	}
	var op *net.OpError // what TLS says of a connection that was broken has no other mark
	return errors.As(err, &op) && (op.Op == "local error" || op.Op == "remote error")
}

// answered says whether an error is what libvirtd said.
func answered(err error) bool {
	var answer libvirt.Error
	return errors.As(err, &answer)
}

// ended says why a context has. Deadlines of our own and the end of the Backend
// are not the caller's doing, and so are not the context's error.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, provision.ErrUnavailable) || errors.Is(cause, errClosed) {
		return cause
	}
	return fmt.Errorf("waiting for libvirtd: %w", ctxerr.Of(ctx))
}

func hasCode(err error, code libvirt.ErrorNumber) bool {
	var answer libvirt.Error
	return errors.As(err, &answer) && answer.Code == uint32(code)
}
