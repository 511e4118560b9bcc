//go:build linux

package lxc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

func TestMain(m *testing.M) { lxcrig.Main(m) }

// started returns a guest that runs.
func started(t *testing.T, h *provision.Host, s provision.Spec) *provision.Guest {
	t.Helper()
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	return g
}

// said is what a program writes to its standard output.
func said(t *testing.T, g *provision.Guest, o provision.ExecOptions, argv ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	o.Stdout = &out
	if o.TTY == nil {
		o.Stderr = &errs
	}
	r, err := g.Exec(t.Context(), argv, &o)
	require.NoError(t, err)
	require.True(t, r.OK(), "%s: %s%s", r, out.String(), errs.String())
	return out.String()
}

func TestExec(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	g := started(t, h, lxcrig.Spec("a"))
	before := descriptors(t)
	for name, test := range map[string]func(*testing.T, *provision.Guest){
		"status": execStatus, "refused": execRefused, "stream": execStream, "environment": execEnvironment, "confined": execConfined,
		"closed": execClosed, "killed": execKilled, "many": execMany, "accounts": execAccounts, "left behind": execLeftBehind, "stdin": execStdin,
	} {
		t.Run(name, func(t *testing.T) { test(t, g) })
	}
	t.Run("paused", func(t *testing.T) {
		require.NoError(t, g.Pause(t.Context()))
		_, err := g.Exec(t.Context(), []string{"true"}, nil)
		require.ErrorIs(t, err, provision.ErrState)
		require.NoError(t, g.Resume(t.Context()))
	})
	t.Run("privileged", func(t *testing.T) {
		s := lxcrig.Spec("p")
		s.Native = &lxc.Native{Privileged: true}
		p := started(t, h, s)
		execConfined(t, p)
		execStatus(t, p)
	})
	require.Eventually(t, func() bool { return before == descriptors(t) }, 5*time.Second, 10*time.Millisecond, "descriptors of this process")
	t.Run("guest dies", func(t *testing.T) {
		go func() {
			_ = lxcrig.Run(t, "sh", "-c", `until [ -e "$1/a/rootfs/tmp/runs" ]; do sleep 0.02; done; lxc-stop -k -P "$1" -n a`, "sh", path)
		}()
		r, err := g.Exec(t.Context(), []string{"sh", "-c", "touch /tmp/runs; sleep 100"}, nil)
		require.ErrorIs(t, err, provision.ErrState)
		require.False(t, r.OK())
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

// execModes are the ways in which a program gets there.
var execModes = map[string]provision.ExecOptions{
	"plain":    {},
	"prepared": {Env: []string{"A=b"}, Dir: "/tmp"},
	"terminal": {TTY: &provision.Terminal{}},
}

func execStatus(t *testing.T, g *provision.Guest) {
	for mode, o := range execModes {
		for _, code := range []int{0, 1, 2, 7, 125, 126, 127, 128, 137, 254, 255} {
			r, err := g.Exec(t.Context(), []string{"sh", "-c", "exit " + strconv.Itoa(code)}, &o)
			require.NoError(t, err, "%s %d", mode, code)
			require.Equal(t, provision.ExecResult{Code: code}, r, mode)
		}
		for _, sig := range []syscall.Signal{unix.SIGKILL, unix.SIGTERM, unix.SIGSEGV, unix.SIGHUP} {
			r, err := g.Exec(t.Context(), []string{"sh", "-c", "kill -" + strconv.Itoa(int(sig)) + " $$"}, &o)
			require.NoError(t, err, "%s %d", mode, sig)
			require.Equal(t, provision.ExecResult{Signal: int(sig)}, r, mode)
		}
	}
}

func execRefused(t *testing.T, g *provision.Guest) {
	for mode, o := range execModes {
		for _, program := range []string{"nosuch", "/nonexistent/program", "/etc/passwd", "/etc", "/tmp/"} {
			_, err := g.Exec(t.Context(), []string{program}, &o)
			require.ErrorIs(t, err, provision.ErrInvalid, "%s %s", mode, program)
		}
	}
	var f *provision.FieldError
	for field, o := range map[string]provision.ExecOptions{"dir": {Dir: "/etc/passwd"}, "user": {User: "stranger"}} {
		_, err := g.Exec(t.Context(), []string{"true"}, &o)
		require.ErrorAs(t, err, &f)
		require.Equal(t, field, f.Path)
	}
}

// execStream sends 64 MiB through a program, and reads it slowly at the end.
func execStream(t *testing.T, g *provision.Guest) {
	const size = 64 << 20
	in, out := sha256.New(), sha256.New()
	source := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), in)
	r, err := g.Exec(t.Context(), []string{"cat"}, &provision.ExecOptions{Stdin: source, Stdout: out})
	require.NoError(t, err)
	require.Equal(t, provision.ExecResult{}, r)
	require.Equal(t, in.Sum(nil), out.Sum(nil))

	slow := &slowWriter{}
	_, err = g.Exec(t.Context(), []string{"sh", "-c", "head -c 60000 /dev/zero; exit 0"}, &provision.ExecOptions{Stdout: slow})
	require.NoError(t, err)
	require.Equal(t, 60000, slow.n, "what a program wrote before its end is not lost where the reader is slower than that")

	_, err = g.Exec(t.Context(), []string{"cat"}, &provision.ExecOptions{Stdin: strings.NewReader("x"), Stdout: brokenWriter{}})
	require.ErrorIs(t, err, errBroken)
	r, err = g.Exec(t.Context(), []string{"true"}, &provision.ExecOptions{Stdin: source})
	require.NoError(t, err, "a program need not read its input")
	require.True(t, r.OK())
}

type slowWriter struct{ n int }

func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(1200 * time.Millisecond / 2) // longer, in all, than the silence that is waited for
	w.n += len(p)
	return len(p), nil
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
func (brokenWriter) Read([]byte) (int, error)  { return 0, errBroken }

func execStdin(t *testing.T, g *provision.Guest) {
	_, err := g.Exec(t.Context(), []string{"cat"}, &provision.ExecOptions{Stdin: brokenWriter{}})
	require.ErrorIs(t, err, errBroken)
}

// preloaded is a library that leaves a mark wherever a program loads it.
const preloaded = `
#include <fcntl.h>
#include <stdlib.h>
__attribute__((constructor)) static void mark(void) { open(MARK, O_CREAT | O_WRONLY, 0600); }
`

func execEnvironment(t *testing.T, g *provision.Guest) {
	lib, mark := filepath.Join(t.TempDir(), "mark.so"), filepath.Join(t.TempDir(), "mark")
	compile := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", `-DMARK="`+mark+`"`, "-x", "c", "-", "-o", lib)
	compile.Stdin = strings.NewReader(preloaded)
	text, err := compile.CombinedOutput()
	require.NoError(t, err, "%s", text)
	host := exec.CommandContext(t.Context(), "lxc-attach", "--version")
	host.Env = []string{"LD_PRELOAD=" + lib}
	require.NoError(t, host.Run())
	require.FileExists(t, mark, "the library works")
	require.NoError(t, os.Remove(mark))

	dangerous := []string{"LD_PRELOAD=" + lib, "LD_LIBRARY_PATH=/nonexistent", "LD_AUDIT=" + lib, "GCONV_PATH=/x", "OPENSSL_CONF=/x", "GLIBC_TUNABLES=x", "MALLOC_TRACE=" + mark, "LC_ALL=xx"}
	lines := strings.Split(said(t, g, provision.ExecOptions{Env: dangerous}, "env"), "\n")
	require.Subset(t, lines, dangerous, "the program gets them")
	require.NoFileExists(t, mark, "lxc-attach on the host does not")

	t.Setenv("DB_PASSWORD", "secret")
	text2 := said(t, g, provision.ExecOptions{}, "env")
	require.NotContains(t, text2, "DB_PASSWORD")
	require.NotContains(t, text2, "PROVISION")
	require.Subset(t, strings.Split(text2, "\n"), []string{"container=lxc", "HOME=/root"})

	odd := []string{"QUOTES='\"`$(reboot)\\", "LINES=a\nb\n", "EMPTY=", "PATH=/bin:/nowhere"}
	require.Equal(t, "'\"`$(reboot)\\|a\nb\n|set|/bin:/nowhere", said(t, g, provision.ExecOptions{Env: odd}, "sh", "-c", `printf '%s|%s|%s|%s' "$QUOTES" "$LINES" "${EMPTY+set}" "$PATH"`))

	// What is secret stands in no argument of a process of the host.
	in, typed := io.Pipe()
	done := make(chan string)
	go func() {
		done <- said(t, g, provision.ExecOptions{Env: []string{"KEY=hunter2-secret"}, Stdin: in}, "sh", "-c", "read x; echo $KEY")
	}()
	_, err = io.WriteString(typed, "go") // the program reads, so lxc-attach is there
	require.NoError(t, err)
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, f := range found {
		line, _ := os.ReadFile(f) // it may have ended
		require.NotContains(t, string(line), "hunter2-secret")
	}
	_, err = io.WriteString(typed, "\n")
	require.NoError(t, err)
	require.NoError(t, typed.Close())
	require.Equal(t, "hunter2-secret\n", <-done)
	require.Equal(t, "/tmp\n", said(t, g, provision.ExecOptions{Dir: "/tmp"}, "pwd"))
	require.Equal(t, "/\n", said(t, g, provision.ExecOptions{}, "pwd"), "not where this program is")
	require.Equal(t, "65534 65534 / \n", said(t, g, provision.ExecOptions{User: "nobody"}, "sh", "-c", `echo "$(id -u) $(id -g) $HOME $(grep Groups: /proc/self/status | tr -d '[:space:][:alpha:]:')"`))
}

// execConfined compares a program with the guest's own ones.
func execConfined(t *testing.T, g *provision.Guest) {
	require.NoError(t, syscall.Setgroups([]int{4, 24}))
	defer func() { require.NoError(t, syscall.Setgroups(nil)) }()
	fields := func(pid string) (list []string) {
		for line := range strings.Lines(said(t, g, provision.ExecOptions{}, "cat", "/proc/"+pid+"/status")) {
			for _, f := range []string{"CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb", "Seccomp", "NoNewPrivs", "Groups", "TracerPid", "SigBlk"} {
				if name, value, _ := strings.Cut(line, ":"); name == f {
					list = append(list, f+" "+strings.TrimSpace(value))
				}
			}
		}
		return list
	}
	require.Equal(t, fields("1"), fields("self"))
	require.Contains(t, fields("self"), "Groups ", "not those of this program")
	for _, ns := range []string{"pid", "mnt", "net", "user", "uts", "ipc", "cgroup"} {
		require.Equal(t, said(t, g, provision.ExecOptions{}, "readlink", "/proc/1/ns/"+ns), said(t, g, provision.ExecOptions{}, "readlink", "/proc/self/ns/"+ns), ns)
	}
	in, typed := io.Pipe()
	out := &lockedBuffer{}
	done := make(chan error)
	go func() {
		_, err := g.Exec(t.Context(), []string{"sh", "-c", "echo up; read x"}, &provision.ExecOptions{Stdin: in, Stdout: out})
		done <- err
	}()
	require.Eventually(t, func() bool { return out.String() == "up\n" }, 10*time.Second, time.Millisecond)
	list := lxcrig.Run(t, "sh", "-c", `for p in $(pgrep -f '^sh -c echo up; read x'); do cat /proc/$p/cgroup; done`)
	require.NoError(t, typed.Close())
	require.NoError(t, <-done)
	require.NotEmpty(t, list)
	for line := range strings.Lines(list) {
		require.Contains(t, line, string(g.ID())+"/guest/ns", "under the limits, and in the part that is the guest's")
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// execClosed looks for what the tenant could get of the program that embeds this.
func execClosed(t *testing.T, g *provision.Guest) {
	groups := func() string {
		text, err := os.ReadFile("/proc/self/cgroup")
		require.NoError(t, err)
		return string(text)
	}
	before := groups()
	shadow, err := unix.Open("/etc/shadow", unix.O_RDONLY, 0) // as C libraries open files, without O_CLOEXEC
	require.NoError(t, err)
	defer unix.Close(shadow)
	for mode, o := range execModes {
		o.Env = append(o.Env, "x=1")
		have := strings.Fields(said(t, g, o, "sh", "-c", "ls /proc/$$/fd; :"))
		require.Equal(t, []string{"0", "1", "2"}, have, mode)
	}
	require.Equal(t, before, groups())
}

// execKilled ends the context of programs that have made others in all ways.
func execKilled(t *testing.T, g *provision.Guest) {
	for mode, o := range execModes {
		ctx, cancel := context.WithCancel(t.Context())
		out := &lockedBuffer{}
		o.Stdout = out
		done := make(chan error)
		go func() {
			_, err := g.Exec(ctx, []string{"sh", "-c", "(sleep 1001 &) ; (setsid sleep 1002 &); sleep 1003 & trap '' TERM HUP; echo up; sleep 1004; true"}, &o)
			done <- err
		}()
		require.Eventually(t, func() bool { return strings.HasPrefix(out.String(), "up") }, 10*time.Second, time.Millisecond)
		begin := time.Now()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled, mode)
		require.Less(t, time.Since(begin), 5*time.Second)
		left := said(t, g, provision.ExecOptions{}, "ps", "-o", "args")
		for _, n := range []string{"1001", "1003", "1004"} {
			require.NotContains(t, left, "sleep "+n, mode)
		}
		_, err := g.Exec(t.Context(), []string{"sh", "-c", "kill -9 $(pidof sleep); true"}, nil) // that which has hidden itself
		require.NoError(t, err)
	}
}

func execMany(t *testing.T, g *provision.Guest) {
	routines, before := runtime.NumGoroutine(), descriptors(t)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			var out bytes.Buffer
			r, err := g.Exec(t.Context(), []string{"sh", "-c", "cat; exit $1", "sh", strconv.Itoa(i)}, &provision.ExecOptions{Stdin: strings.NewReader(strconv.Itoa(i)), Stdout: &out})
			if err != nil || r.Code != i || out.String() != strconv.Itoa(i) {
				t.Errorf("%d: %v, %v, %q", i, r, err, out.String())
			}
		})
	}
	all.Wait()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= routines+1 }, 5*time.Second, 10*time.Millisecond) // and that of Eventually
	require.LessOrEqual(t, descriptors(t), before)
	require.NotContains(t, said(t, g, provision.ExecOptions{}, "ps", "-o", "args"), "cat")
	require.Empty(t, lxcrig.Run(t, "sh", "-c", `for p in $(pgrep -P `+strconv.Itoa(os.Getpid())+` | grep -v "^$$\$"); do cat /proc/$p/comm 2>/dev/null | grep lxc-attach; done; true`))
}

// execAccounts puts what a tenant could put in place of its accounts.
func execAccounts(t *testing.T, g *provision.Guest) {
	as := func() error {
		_, err := g.Exec(t.Context(), []string{"true"}, &provision.ExecOptions{User: "nobody"})
		return err
	}
	for name, script := range map[string]string{
		"a FIFO":        "mkfifo /etc/passwd",
		"a link":        "ln -s ../../../../../../../../etc/passwd /etc/passwd",
		"a directory":   "mkdir /etc/passwd",
		"nothing":       "true",
		"huge":          "dd if=/dev/zero of=/etc/passwd bs=1M count=2 2>/dev/null",
		"sparse":        "dd if=/dev/zero of=/etc/passwd bs=1 seek=1000000000 count=1 2>/dev/null",
		"a large id":    "echo nobody:x:65536:0::/: >/etc/passwd",
		"a negative id": "echo nobody:x:-1:0::/: >/etc/passwd",
		"few fields":    "echo nobody:x:1:1 >/etc/passwd",
	} {
		said(t, g, provision.ExecOptions{}, "sh", "-c", "mv /etc/passwd /etc/keep; "+script)
		err := as()
		said(t, g, provision.ExecOptions{}, "sh", "-c", "rm -rf /etc/passwd; mv /etc/keep /etc/passwd")
		require.ErrorIs(t, err, provision.ErrInvalid, name)
	}
	require.NoError(t, as())
}

// execLeftBehind starts programs that outlive the one that was asked for.
func execLeftBehind(t *testing.T, g *provision.Guest) {
	var out bytes.Buffer
	begin := time.Now()
	r, err := g.Exec(t.Context(), []string{"sh", "-c", "echo here; sleep 100 & exit 3"}, &provision.ExecOptions{Stdout: &out})
	require.NoError(t, err)
	require.Equal(t, provision.ExecResult{Code: 3}, r)
	require.Equal(t, "here\n", out.String())
	require.Less(t, time.Since(begin), 10*time.Second)
	r, err = g.Exec(t.Context(), []string{"sh", "-c", "cat /dev/zero & exit 0"}, &provision.ExecOptions{Stdout: io.Discard})
	require.NoError(t, err)
	require.True(t, r.Truncated)
	said(t, g, provision.ExecOptions{}, "sh", "-c", "kill -9 $(pidof sleep cat); true")
}

// BenchmarkExec runs a program that does nothing.
func BenchmarkExec(b *testing.B) {
	path := lxcrig.Machine(b)
	h := lxcrig.Open(b, path)
	g, err := h.Create(b.Context(), lxcrig.Spec("a"), nil)
	require.NoError(b, err)
	require.NoError(b, g.Start(b.Context(), nil))
	for b.Loop() {
		r, err := g.Exec(b.Context(), []string{"true"}, nil)
		require.NoError(b, err)
		require.True(b, r.OK())
	}
}
