//go:build linux

package kvmtest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// Root may open every socket, so what happens to others is tried by a process of
// the user nobody: the test binary again, which these variables tell what to do.
const (
	nobodySocket = "PROVISION_MATRIX_SOCKET"
	nobodyLock   = "PROVISION_MATRIX_LOCK"
	nobody       = 65534
)

const permissionLost = "socket permission lost"

// gate is a socket in front of libvirtd's that can be shut.
type gate struct {
	path string
	mu   sync.Mutex
	open []net.Conn
}

func newGate(t *testing.T, dir, socket string) *gate {
	t.Helper()
	g := &gate{path: filepath.Join(dir, "s")}
	l, err := net.Listen("unix", g.path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close(); g.cut() })
	require.NoError(t, os.Chmod(g.path, 0o666))
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", socket)
			if err != nil {
				client.Close()
				continue
			}
			g.mu.Lock()
			g.open = append(g.open, client, server)
			g.mu.Unlock()
			go func() { io.Copy(client, server); client.Close() }()
			go func() { io.Copy(server, client); server.Close() }()
		}
	}()
	return g
}

// cut ends all connections.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.open {
		c.Close()
	}
	g.open = nil
}

// asNobody is the column of the matrix in which the process may open the socket
// of libvirtd no more.
func (m *matrix) asNobody(t *testing.T) {
	patient := m.open(t, 0, nil)
	m.clean(t, patient) // of a column that failed
	before := m.leftovers(t)
	for _, v := range matrixVerbs() {
		m.prepare(t, patient, v)
	}
	dir, err := os.MkdirTemp("", "gate") // others may enter it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	g := newGate(t, dir, m.rig.Socket)
	binary, lock := filepath.Join(dir, "test"), filepath.Join(dir, "lock")
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, text, 0o755))
	require.NoError(t, os.Mkdir(lock, 0o700))
	require.NoError(t, os.Chown(lock, nobody, nobody))

	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestFaultMatrix$")
	cmd.Dir = "/"
	cmd.Env = []string{nobodySocket + "=" + g.path, nobodyLock + "=" + lock}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	report := func() map[string]string {
		cells := map[string]string{}
		for lines.Scan() && lines.Text() != "." {
			verb, cell, _ := strings.Cut(lines.Text(), "\t")
			cells[verb] = cell
		}
		return cells
	}
	require.Equal(t, map[string]string{"opened": ""}, report())

	require.NoError(t, os.Chmod(g.path, 0o600))
	g.cut()
	fmt.Fprintln(in, "lost")
	cells := report()
	for _, v := range matrixVerbs() {
		require.Equal(t, "ErrPermission", cells[v.name], "%s, while: %s", v.name, permissionLost)
	}
	m.cells[permissionLost] = cells

	require.NoError(t, os.Chmod(g.path, 0o666))
	fmt.Fprintln(in, "back")
	for verb, cell := range report() {
		require.Equal(t, "done", cell, "%s, after: %s", verb, permissionLost)
	}
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	m.clean(t, patient)
	require.Equal(t, before, m.leftovers(t), "left behind")
}

// beNobody is the other process: it opens a Host, and calls all verbs each time
// that it is told to.
func beNobody(t *testing.T, socket string) {
	m := &matrix{uri: "qemu+unix:///system?socket=" + socket, lock: os.Getenv(nobodyLock)}
	h, err := provision.Open(t.Context(), m.backend(0), &provision.Options{LockDir: m.lock})
	require.NoError(t, err)
	fmt.Printf("opened\n.\n")
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		for _, v := range matrixVerbs() {
			cell := outcome(v.do(t.Context(), m, h, v.guest()))
			// A daemon that did not answer is left alone for a moment.
			for end := time.Now().Add(10 * time.Second); orders.Text() == "back" && cell == "ErrPermission" && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
				cell = outcome(v.do(t.Context(), m, h, v.guest()))
			}
			fmt.Printf("%s\t%s\n", v.name, cell)
		}
		fmt.Println(".")
	}
	require.NoError(t, h.Close())
}
