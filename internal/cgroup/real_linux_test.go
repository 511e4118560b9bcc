package cgroup

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/testrig"
)

// TestRealV2 runs the tests called TestOnKernel, which are about this machine's
// control groups, where they are of version 2 alone.
func TestRealV2(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	files := map[string]string{}
	for _, name := range []string{"mkfs.ext4", "losetup", "mount", "umount"} {
		path, err := exec.LookPath("/sbin/" + name)
		if err != nil {
			path, err = exec.LookPath(name)
		}
		require.NoError(t, err)
		files["/usr/local/sbin/"+name] = path
	}
	out := testrig.RunInVM(t, &testrig.VM{Argv: []string{self, "-test.run", "^TestOn", "-test.v"}, Files: files, Modules: []string{"loop"}, CPUs: 2,
		Env: []string{"GORACE=atexit_sleep_ms=0", "GOGC=off"}})
	t.Log(out)
	require.Contains(t, out, "control groups: v2\n")
	require.Equal(t, strings.Count(out, "=== RUN"), strings.Count(out, "--- PASS"), "all of them ran and passed")
}

// newGroup makes a group of a test's own, three levels down, and removes it.
func newGroup(t *testing.T) *Group {
	t.Helper()
	l, err := Detect("/")
	require.NoError(t, err)
	t.Logf("control groups: %s\n", l.Kind())
	top := fmt.Sprintf("provision-test.%d.%s", os.Getpid(), strings.ToLower(t.Name()))
	g, err := l.Group(top + "/id/guest")
	require.NoError(t, err)
	require.False(t, g.Exists())
	require.NoError(t, g.Create())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, g.Kill(ctx))
		require.NoError(t, g.Remove(ctx, ""))
		above, err := l.Group(top)
		require.NoError(t, err)
		require.False(t, above.Exists(), "what is above is empty, and removed")
	})
	return g
}

// process is one in a group.
type process struct {
	*exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// start runs a shell script in a group: it begins when it is there.
func start(t *testing.T, g *Group, script string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("busybox", "sh", "-c", "read go; "+script)}
	var err error
	p.stdin, err = p.StdinPipe()
	require.NoError(t, err)
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.stdout = bufio.NewReader(out)
	require.NoError(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() }) // most have ended
	require.NoError(t, g.Add(p.Process.Pid))
	_, err = io.WriteString(p.stdin, "go\n")
	require.NoError(t, err)
	return p
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// enforcement of each limit, whose reasons only the golden files have.
func enforcement(t *testing.T, g *Group, want *Limits) map[Name]Enforcement {
	t.Helper()
	_, list, err := g.Verify(want)
	require.NoError(t, err)
	m := map[Name]Enforcement{}
	for _, v := range list {
		m[v.Limit] = v.Enforcement
	}
	return m
}

// Limits are set, raised, lowered and lifted, and what the kernel then has is what was asked for.
func TestOnKernelLimits(t *testing.T) {
	g := newGroup(t)
	before, err := g.Read()
	require.NoError(t, err)
	const mib = 1 << 20
	for _, want := range []Limits{
		{CPU: 0.5, Weight: 300, CPUs: []int{0}, Memory: 64 * mib, Processes: 30},
		{CPU: 0.005, Weight: 1, CPUs: []int{0, 1}, Memory: 256*mib + 1, Swap: 64 * mib, Processes: 10},
		{CPU: 3, Weight: 10000, CPUs: []int{1}, Memory: 512 * mib, Swap: NoLimit, Processes: 100},
		{Memory: 128 * mib},
		{CPUs: []int{1}, Memory: 96 * mib, Swap: 16 * mib, Guaranteed: 32 * mib},
		{},
	} {
		require.NoError(t, g.Apply(&want), "%+v", want)
		if g.layout.MemoryMin {
			above, err := g.layout.Group(filepath.Dir(g.path))
			require.NoError(t, err)
			have, err := above.Read()
			require.NoError(t, err)
			require.Equal(t, want.Guaranteed, have.Guaranteed, "what is guaranteed below is guaranteed above")
		}
		for name, e := range enforcement(t, g, &want) {
			expected := Enforced
			if name == LimitSwap && g.layout.HostSwap == 0 || name == LimitGuaranteed && g.layout.version(Memory) == 1 {
				expected = NotEnforced
			}
			require.Equal(t, expected, e, "%s of %+v", name, want)
		}
	}
	after, err := g.Read()
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(before, after), "all is lifted")
	require.Error(t, g.Set(PIDs, "pids.max", "many"))
}

// Processors change under a guest that has made groups of its own.
func TestOnKernelCPUs(t *testing.T) {
	g := newGroup(t)
	inner, err := g.layout.Group(g.path + "/" + Inner + "/own")
	require.NoError(t, err)
	require.NoError(t, inner.Create())
	for _, want := range [][]int{{0}, {1}, {0, 1}, {1}, nil} {
		require.NoError(t, g.Apply(&Limits{CPUs: want}))
		have, err := inner.Read()
		require.NoError(t, err)
		if want == nil {
			require.GreaterOrEqual(t, len(have.CPUs), 2)
		} else {
			require.Equal(t, want, have.CPUs)
		}
	}
}

// What a guest has frozen in a group of its own is killed too.
func TestOnKernelKillFrozenBelow(t *testing.T) {
	g := newGroup(t)
	below, err := g.layout.Group(g.path + "/ns/theirs")
	require.NoError(t, err)
	require.NoError(t, below.Create())
	p := start(t, below, "sleep 1000")
	require.NoError(t, below.Freeze(soon(t)))
	require.NoError(t, g.Kill(soon(t)))
	require.Error(t, p.Wait())
	pids, err := g.Procs()
	require.NoError(t, err)
	require.Empty(t, pids)
}

// A fork bomb ends at the limit, and all that it made is killed.
func TestOnKernelForkBomb(t *testing.T) {
	g := newGroup(t)
	require.NoError(t, g.Apply(&Limits{Processes: 20}))
	p := start(t, g, "i=0; while [ $i -lt 100 ]; do sleep 1000 <&- >&- 2>&- & i=$((i+1)); done 2>/dev/null")
	require.Error(t, p.Wait(), "the shell ends when it cannot fork")
	events, err := g.Get(PIDs, "pids.events")
	require.NoError(t, err)
	refused, err := field(events, "max")
	require.NoError(t, err)
	require.NotZero(t, refused)
	pids, err := g.Procs()
	require.NoError(t, err)
	require.Len(t, pids, 19, "the shell has ended")
	require.Equal(t, Value{N: 19}, g.Stats().Processes)
	require.NoError(t, g.Kill(soon(t)))
	pids, err = g.Procs()
	require.NoError(t, err)
	require.Empty(t, pids)
}

// A fork bomb that goes on does not outrun those who kill it. Version 2, where
// the kernel does that, need not show it.
func TestHereForkBombKilled(t *testing.T) {
	g := newGroup(t)
	require.NoError(t, g.Apply(&Limits{Processes: 50}))
	p := start(t, g, "echo on; b() { b | b & b; }; b 2>/dev/null")
	_, err := p.stdout.ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, g.Kill(soon(t)))
	require.Error(t, p.Wait())
}

// What takes more memory than it may have is killed, and counted; the group is as
// liblxc makes it, with the process in the inner one.
func TestOnKernelMemoryHog(t *testing.T) {
	g := newGroup(t)
	require.NoError(t, g.Apply(&Limits{Memory: 24 << 20}))
	inner, err := g.layout.Group(g.path + "/" + Inner)
	require.NoError(t, err)
	require.NoError(t, inner.Create())
	p := start(t, inner, "exec dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null")
	err = p.Wait()
	require.Error(t, err)
	require.Equal(t, syscall.SIGKILL, p.ProcessState.Sys().(syscall.WaitStatus).Signal())
	s := g.Stats()
	require.Equal(t, Value{N: 1}, s.OOMKills)
	require.True(t, s.CPU.Known() && s.CPU.N > 0, "%+v", s)
	require.True(t, s.Memory.Known() && s.Memory.N < 24<<20, "%+v", s)
	require.True(t, s.Swap.Known() && s.ReadBytes.Known() && s.WriteOps.Known(), "%+v", s)
}

// Frozen processes do nothing, and can be killed; groups that they made below go too.
func TestOnKernelFreeze(t *testing.T) {
	g := newGroup(t)
	deep, err := g.layout.Group(g.path + "/" + Inner + "/a/b/c")
	require.NoError(t, err)
	require.NoError(t, deep.Create())
	p := start(t, deep, "while read line; do echo $line; done")
	ctx := soon(t)
	require.NoError(t, g.Freeze(ctx))
	state, err := deep.State()
	require.NoError(t, err)
	require.Equal(t, Frozen, state)
	_, err = io.WriteString(p.stdin, "hello\n")
	require.NoError(t, err)
	require.NoError(t, g.Freeze(ctx), "again")
	require.NoError(t, g.Thaw(ctx))
	line, err := p.stdout.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)

	names, err := g.List()
	require.NoError(t, err)
	require.Equal(t, []string{Inner}, names)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, g.Remove(ended, ""), context.Canceled)
	require.ErrorIs(t, g.Remove(ended, ""), syscall.EBUSY, "a group with processes stays")
	require.NoError(t, g.Freeze(ctx))
	require.NoError(t, g.Kill(ctx))
	require.Error(t, p.Wait())
	stop := filepath.Dir(g.path)
	require.NoError(t, g.Remove(ctx, stop))
	require.False(t, g.Exists())
	above, err := g.layout.Group(stop)
	require.NoError(t, err)
	require.True(t, above.Exists())
	require.NoError(t, g.Remove(ctx, stop), "again")
	require.NoError(t, g.Kill(ctx), "what is not there has no processes")
	require.NoError(t, g.Create(), "for the cleanup")
}

// A guest that nests groups until paths are too long for the kernel is removed.
func TestHereDeepNesting(t *testing.T) {
	g := newGroup(t)
	h, ok := g.layout.Find(PIDs)
	require.True(t, ok)
	at, err := os.OpenRoot(filepath.Join(h.Dir, g.path))
	require.NoError(t, err)
	name := strings.Repeat("x", 250)
	for range 20 { // more than PATH_MAX together
		require.NoError(t, at.Mkdir(name, 0o755))
		sub, err := at.OpenRoot(name)
		require.NoError(t, err)
		require.NoError(t, at.Close())
		at = sub
	}
	require.NoError(t, at.Close())
	require.NoError(t, g.Remove(soon(t), ""))
	require.False(t, g.Exists())
}

// Writes to a device are held back, also those of a process in the inner group.
func TestOnKernelIO(t *testing.T) {
	g := newGroup(t)
	dir, device := loopMount(t)
	inner, err := g.layout.Group(g.path + "/" + Inner)
	require.NoError(t, err)
	require.NoError(t, inner.Create())
	want := &Limits{IO: []IOLimit{{Device: device, WriteBPS: 1 << 20, ReadIOPS: 5000}}}
	require.NoError(t, g.Apply(want))
	expected := Enforced
	if g.layout.version(IO) == 1 {
		expected = Partial
	}
	require.Equal(t, expected, enforcement(t, g, want)[LimitIO])
	write := func() time.Duration {
		began := time.Now()
		p := start(t, inner, "exec dd if=/dev/zero of="+dir+"/file bs=64k count=12 conv=fsync 2>/dev/null")
		require.NoError(t, p.Wait())
		return time.Since(began)
	}
	limited := write()
	require.Greater(t, limited, 400*time.Millisecond, "768 KiB at 1 MiB/s")
	s := g.Stats(device)
	require.True(t, s.WriteBytes.Known())
	require.GreaterOrEqual(t, s.WriteBytes.N, uint64(768<<10))
	require.Zero(t, g.Stats(Device{1, 1}).WriteBytes.N)
	require.NoError(t, g.Apply(&Limits{}))
	have, err := g.Read()
	require.NoError(t, err)
	require.Empty(t, have.IO)
	t.Logf("with the limit %v, without %v", limited, write())
}

// loopMount mounts a new file system on a loop device.
func loopMount(t *testing.T) (dir string, device Device) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 16<<20))
	tool(t, "mkfs.ext4", "-q", "-O", "^has_journal", image)
	loop := tool(t, "losetup", "-f", "--show", image)
	t.Cleanup(func() { tool(t, "losetup", "-d", loop) })
	dir = t.TempDir()
	tool(t, "mount", loop, dir)
	t.Cleanup(func() { tool(t, "umount", dir) })
	devices, err := Volumes(dir)
	require.NoError(t, err)
	require.Len(t, devices, 1)
	return dir, devices[0]
}

func tool(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
	return strings.TrimSpace(string(out))
}
