package ctxerr_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/ctxerr"
)

func TestOf(t *testing.T) {
	require.NoError(t, ctxerr.Of(t.Context()))

	plain, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, ctxerr.Of(plain))

	why := errors.New("the shop closes")
	caused, stop := context.WithCancelCause(t.Context())
	stop(why)
	require.ErrorIs(t, ctxerr.Of(caused), context.Canceled)
	require.ErrorIs(t, ctxerr.Of(caused), why)
}

func TestSleep(t *testing.T) {
	require.NoError(t, ctxerr.Sleep(t.Context(), time.Nanosecond))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, ctxerr.Sleep(ended, time.Hour), context.Canceled)
}
