//go:build linux

package kvm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// withAgent boots a tiny guest and waits for its agent.
func withAgent(t *testing.T, h *provision.Host, name string) *provision.Guest {
	t.Helper()
	g := bootedGuest(t, h, tinySpec(name))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := g.Wait(ctx, provision.UntilExec())
	require.NoError(t, err)
	return g
}

// TestExec is about what the guest agent adds to the rules of the suite.
func TestExec(t *testing.T) {
	h := openHost(t, startLinux(t).URI, nil)
	g := withAgent(t, h, "exec")
	exec := func(t *testing.T, o provision.ExecOptions, argv ...string) (r provision.ExecResult, stdout, stderr string) {
		t.Helper()
		var out, errs bytes.Buffer
		o.Stdout, o.Stderr = &out, &errs
		r, err := g.Exec(t.Context(), argv, &o)
		require.NoError(t, err, "%q", argv)
		return r, out.String(), errs.String()
	}
	none := provision.ExecOptions{}
	t.Run("end", func(t *testing.T) {
		r, out, errs := exec(t, none, "sh", "-c", "echo out; echo err >&2; exit 137")
		require.Equal(t, provision.ExecResult{Code: 137}, r, "its own exit status, not a signal's")
		require.Equal(t, "out\nerr\n", out+errs)
		r, _, _ = exec(t, none, "sh", "-c", "kill -KILL $$")
		require.Equal(t, provision.ExecResult{Signal: 9}, r)
		require.Equal(t, "killed by signal 9", r.String())
		r, _, errs = exec(t, none, "/etc")
		require.Equal(t, 126, r.Code, "no program: %s", errs)
	})
	t.Run("output", func(t *testing.T) {
		const most = 1 << 20
		for _, n := range []int{most, most + 1, 10 * most} {
			r, out, errs := exec(t, none, "sh", "-c", fmt.Sprintf("yes | head -c %d; yes no | head -c 100 >&2", n))
			require.Equal(t, provision.ExecResult{Truncated: n > most}, r, "of %d bytes", n)
			require.Equal(t, strings.Repeat("y\n", most/2), out)
			require.Len(t, errs, 100)
		}
		_, out, _ := exec(t, none, "sh", "-c", "ls -d /run/exec.* /tmp/tmp.* 2>/dev/null; ls -l /proc/self/fd | wc -l")
		require.Equal(t, "5\n", out, "no pipe of ours is left, neither as a name nor open")
	})
	t.Run("input", func(t *testing.T) {
		const most = 64 << 10
		r, out, _ := exec(t, provision.ExecOptions{Stdin: bytes.NewReader(make([]byte, most))}, "wc", "-c")
		require.True(t, r.OK())
		require.Equal(t, fmt.Sprintf("%d\n", most), out)
		_, err := g.Exec(t.Context(), []string{"wc"}, &provision.ExecOptions{Stdin: bytes.NewReader(make([]byte, most+1))})
		require.ErrorIs(t, err, provision.ErrInvalid)
		broken := errors.New("broken")
		_, err = g.Exec(t.Context(), []string{"wc"}, &provision.ExecOptions{Stdin: &failing{broken}})
		require.ErrorIs(t, err, broken)
	})
	t.Run("environment", func(t *testing.T) {
		_, out, _ := exec(t, provision.ExecOptions{Env: []string{"A=b", "PATH=/bin"}}, "env")
		require.Contains(t, out, "A=b\n")
		require.Contains(t, out, "PATH=/bin\n")
		require.Equal(t, 1, strings.Count(out, "PATH="))
	})
	t.Run("broken output", func(t *testing.T) {
		broken := errors.New("broken")
		r, err := g.Exec(t.Context(), []string{"sh", "-c", "echo x; exit 3"}, &provision.ExecOptions{Stdout: &failing{broken}})
		require.ErrorIs(t, err, broken)
		require.Equal(t, 3, r.Code, "the program did end")
	})
	t.Run("descendants", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := g.Exec(ctx, []string{"sh", "-c", "(sleep 4711; echo) & sh -c 'sleep 4712; echo' & wait"}, &provision.ExecOptions{Stdout: new(bytes.Buffer)})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "was killed")
		_, out, _ := exec(t, none, "ps")
		require.NotContains(t, out, "sleep 471")
		require.Contains(t, out, "qemu-ga", "and nothing else")
	})
}

// failing is a stream that fails.
type failing struct{ err error }

func (f *failing) Read([]byte) (int, error)  { return 0, f.err }
func (f *failing) Write([]byte) (int, error) { return 0, f.err }

var channelRE = regexp.MustCompile(`(?s)<channel .*?</channel>`)

// TestExecWithoutAgent: the guest has none, or no channel for it.
func TestExecWithoutAgent(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("silent")
	s.UserData = []byte("#cloud-config\n# test:no-agent\n")
	g := bootedGuest(t, h, s)
	_, err := g.Exec(t.Context(), []string{"true"}, nil)
	require.ErrorIs(t, err, provision.ErrNotReady)
	require.ErrorContains(t, err, "guest agent does not answer")
	var native libvirt.Error
	require.ErrorAs(t, err, &native)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = g.Wait(ctx, provision.UntilExec())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "so far: ")
	require.ErrorContains(t, err, "guest agent does not answer")

	g, err = h.Create(t.Context(), tinySpec("closed"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	xml, err := rig.Virsh(t.Context(), "dumpxml", "--inactive", "closed")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "closed.xml")
	require.True(t, channelRE.MatchString(xml))
	writeFile(t, file, channelRE.ReplaceAllString(xml, ""))
	_, err = rig.Virsh(t.Context(), "define", file)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	_, err = g.Exec(t.Context(), []string{"true"}, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "no channel")
	b := newBackend(rig.URI)
	defer b.Close()
	_, err = b.Probe(t.Context())
	require.NoError(t, err)
	_, err = b.FreezeFilesystems(t.Context(), g.ID())
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// TestAgentAnswerIsLost: the connection is lost before the agent's answer. A question is
// then unanswered, and of a change nobody knows; neither is asked again.
func TestAgentAnswerIsLost(t *testing.T) {
	rig := startLinux(t)
	p := startProxy(t, "qemu+unix:///system", rig.Socket)
	b := newBackend(p.URI)
	h := openWith(t, b)
	g, err := h.Create(t.Context(), tinySpec("off"), nil) // which libvirtd answers as well
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	for _, c := range []struct {
		name    string
		ask     func() error
		unknown bool
	}{
		{"question", func() error { return b.ExecReady(t.Context(), g.ID()) }, false},
		{"change", func() error {
			_, err := b.Exec(t.Context(), g.ID(), []string{"true"}, &provision.ExecOptions{})
			return err
		}, true},
		{"freeze", func() error { _, err := b.FreezeFilesystems(t.Context(), g.ID()); return err }, true},
	} {
		before := p.count(procAgentCommand)
		p.set(func() { p.cutAfter = procAgentCommand })
		err := c.ask()
		require.ErrorIs(t, err, provision.ErrUnavailable, c.name)
		require.Equal(t, c.unknown, errors.Is(err, provision.ErrOutcomeUnknown), "%s: %v", c.name, err)
		require.Equal(t, before+1, p.count(procAgentCommand), "%s is not repeated", c.name)
	}
}
