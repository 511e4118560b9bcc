package kvm

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// TestAnswers: what calls itself the guest agent may be anything.
func TestAnswers(t *testing.T) {
	for text, want := range map[string]string{
		`{"return":{"pid":12,"new":[1]}}`: "",
		` {"return":{}} `:                 "",
		``:                                "EOF",
		`{"return":`:                      "EOF",
		`{}`:                              "no return",
		`{"return":null}`:                 "no return",
		`{"error":{"desc":"x"}}`:          "no return",
		`[]`:                              "cannot unmarshal",
		`{"return":[]}`:                   "cannot unmarshal",
		`{"return":{"pid":"12"}}`:         "cannot unmarshal",
		`{"return":{"pid":1.5}}`:          "cannot unmarshal",
		`{"return":{"pid":99999999999999999999}}`: "cannot unmarshal",
		`{"return":{"pid":1}} {"return":{}}`:      "behind it",
		strings.Repeat("[", 1<<20):                "depth",
	} {
		var answer struct {
			PID int64 `json:"pid"`
		}
		err := decodeAnswer([]byte(text), &answer)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, clip(text))
	}
}

func TestDeliver(t *testing.T) {
	for _, c := range []struct {
		st   guestStatus
		want provision.ExecResult
		bad  bool
	}{
		{st: guestStatus{Code: 3}, want: provision.ExecResult{Code: 3}},
		{st: guestStatus{Signal: 9}, want: provision.ExecResult{Signal: 9}},
		{st: guestStatus{Code: 0xc0000005}, want: provision.ExecResult{Code: 0xc0000005}}, // of Windows
		{st: guestStatus{OutTruncated: true}, want: provision.ExecResult{Truncated: true}},
		{st: guestStatus{ErrTruncated: true}, want: provision.ExecResult{}}, // Stderr is not wanted
		{st: guestStatus{Out: make([]byte, maxOutput+1)}, want: provision.ExecResult{Truncated: true}},
		{st: guestStatus{Code: -1}, bad: true},
		{st: guestStatus{Code: math.MaxInt64}, bad: true},
		{st: guestStatus{Signal: -1}, bad: true},
		{st: guestStatus{Signal: 256}, bad: true},
	} {
		var out bytes.Buffer
		r, err := c.st.deliver(&provision.ExecOptions{Stdout: &out})
		if c.bad {
			require.ErrorIs(t, err, provision.ErrNotReady)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, r)
		require.Len(t, out.Bytes(), min(len(c.st.Out), maxOutput))
	}
}

// TestAgentErrors: a text of the tenant's cannot play tricks on a terminal or a log.
func TestAgentErrors(t *testing.T) {
	b := New(nil)
	for code, want := range map[libvirt.ErrorNumber]error{
		libvirt.ErrAgentUnresponsive:   provision.ErrNotReady,
		libvirt.ErrAgentUnsynced:       provision.ErrNotReady,
		libvirt.ErrAgentCommandTimeout: provision.ErrNotReady,
		libvirt.ErrArgumentUnsupported: errors.ErrUnsupported,
		libvirt.ErrInternalError:       errRefused,
		libvirt.ErrAgentCommandFailed:  errRefused,
		libvirt.ErrRPC:                 errTooLong,
	} {
		native := libvirt.Error{Code: uint32(code), Message: "\x1b[2J\n" + strings.Repeat("x", 1<<20)}
		err := b.agentFailed(t.Context(), testID, classify(native))
		require.ErrorIs(t, err, want)
		var answer libvirt.Error
		require.ErrorAs(t, err, &answer)
		require.Equal(t, native, answer)
		if code != libvirt.ErrArgumentUnsupported { // which libvirt itself says
			require.NotContains(t, err.Error(), "\x1b")
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 1000)
		}
	}
	strange := &agentError{errNonsense, errors.New("\x1b[2J" + strings.Repeat("x", 1<<20))}
	require.ErrorIs(t, strange, provision.ErrNotReady)
	require.NotContains(t, strange.Error(), "\x1b")
	require.Less(t, len(strange.Error()), 1000)
	other := errors.New("other")
	require.Equal(t, other, b.agentFailed(t.Context(), testID, other))
}

// TestAgentTime: libvirtd does not wait for an agent when we do not any more.
func TestAgentTime(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		0: 20 * time.Second, time.Second: 3 * time.Second, 15 * time.Second: 5 * time.Second, 5 * time.Minute: 290 * time.Second,
	} {
		require.Equal(t, want, New(&Options{Timeout: timeout}).agentTime(), timeout)
	}
}

// fill takes connections, until the test ends.
func fill(t *testing.T, b *Backend, r role, guest provision.ID, n int) {
	t.Helper()
	require.NoError(t, b.conns.setTarget(b.opts))
	for range n {
		leave, err := b.conns.slots.enter(t.Context(), r, string(guest))
		require.NoError(t, err)
		t.Cleanup(leave)
	}
}

// TestAgentOfOneGuest: its commands use its own share of the changes, whatever they are.
func TestAgentOfOneGuest(t *testing.T) {
	asks := map[string]func(*Backend) error{
		"ready":     func(b *Backend) error { return b.ExecReady(t.Context(), testID) },
		"freeze":    func(b *Backend) error { _, err := b.FreezeFilesystems(t.Context(), testID); return err },
		"addresses": func(b *Backend) error { _, err := b.told(t.Context(), testID, nil); return err },
	}
	for name, ask := range asks {
		b := deaf(t, &Options{Timeout: 50 * time.Millisecond})
		fill(t, b, roleJob, "", jobsOfNone)
		fill(t, b, roleQuery, "", budgets[roleQuery])
		err := ask(b)
		require.ErrorIs(t, err, provision.ErrUnavailable)
		require.ErrorContains(t, err, "did not answer", "%s waits for changes of volumes, or for queries", name)
		b = deaf(t, &Options{Timeout: 50 * time.Millisecond})
		fill(t, b, roleJob, testID, jobsOfGuest)
		require.ErrorContains(t, ask(b), "changes of this guest", name)
	}
}

// TestStopByAgentUnasked: a request that was never sent is not one that the agent has.
func TestStopByAgentUnasked(t *testing.T) {
	b := deaf(t, &Options{Timeout: 50 * time.Millisecond})
	require.NoError(t, b.conns.setTarget(b.opts))
	require.Error(t, b.StopByAgent(t.Context(), testID), "no connection was made")
	b = deaf(t, &Options{Timeout: 50 * time.Millisecond})
	fill(t, b, roleJob, testID, jobsOfGuest)
	err := b.StopByAgent(t.Context(), testID)
	require.ErrorContains(t, err, "nothing was sent")
	require.NotErrorIs(t, err, provision.ErrUnavailable)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "the deadline was ours")
}

// TestTaken: what libvirt says of a request to an agent that listened a moment ago.
func TestTaken(t *testing.T) {
	b := New(nil)
	for code, want := range map[libvirt.ErrorNumber]bool{
		libvirt.ErrAgentUnresponsive:   true,
		libvirt.ErrAgentCommandTimeout: true,
		libvirt.ErrAgentUnsynced:       false,
		libvirt.ErrInternalError:       false,
		libvirt.ErrAgentCommandFailed:  false,
		libvirt.ErrArgumentUnsupported: false,
	} {
		require.Equal(t, want, taken(b.agentFailed(t.Context(), testID, classify(libvirt.Error{Code: uint32(code)}))), code)
	}
	require.True(t, taken(nil))
	require.True(t, taken(inDoubt{provision.ErrUnavailable}))
	require.False(t, taken(notSent{provision.ErrUnavailable}))
}

// TestUsageUnasked: that all connections are in use is not the fault of a guest's QEMU.
func TestUsageUnasked(t *testing.T) {
	b := deaf(t, &Options{Timeout: 50 * time.Millisecond})
	fill(t, b, roleQuery, "", budgets[roleQuery])
	_, err := b.Usage(t.Context(), nil)
	require.ErrorIs(t, err, provision.ErrUnavailable)
	require.NotErrorIs(t, err, errLate)
	require.NotContains(t, err.Error(), "QEMU")
}
