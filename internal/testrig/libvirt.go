//go:build linux

package testrig

import (
	"context"
	_ "embed" // for holder.sh
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed holder.sh
var holderScript string

// Libvirt is a private libvirtd in mount, pid and network namespaces of its
// own. Its methods may be called concurrently.
type Libvirt struct {
	Dir     string // where everything lives
	Socket  string // libvirtd's socket, reachable from outside
	URI     string // the connection URI for virsh and other C clients
	PoolDir string // the directory of the storage pool "default"
	Bridge  string // the bridge inside the network namespace
	PID     int    // the namespaces' PID 1, for nsenter -t

	lifeline io.Closer     // closed, also by our death, it ends the namespaces
	pidns    string        // identity of the pid namespace
	holder   *os.Process   // PID, from our side
	gone     chan struct{} // closed when nothing is left in the namespace
	cgroups  *cgroups      // nil without LibvirtOptions.Cgroups
}

// LibvirtOptions say how [StartLibvirt] sets the daemon up.
type LibvirtOptions struct {
	// Dir is required: an empty or new directory, or one left by a stopped
	// Libvirt; with the latter it is as if the host had been rebooted.
	Dir string
	// Bridge is the name of the bridge; "br0" if empty.
	Bridge string
	// BridgeAddr is the bridge's address; 192.0.2.1/24 if zero.
	BridgeAddr netip.Prefix
	// Cache is a directory for libvirt's capability cache. Kept between
	// runs it saves some seconds; if empty, the cache is inside Dir.
	Cache string
	// TLS is a directory with cacert.pem, servercert.pem and serverkey.pem. If
	// set, libvirtd listens on 127.0.0.1:16514 in its network namespace; see
	// [Libvirt.Forward].
	TLS string
	// Cgroups lets libvirtd use control groups, in groups of its own that end
	// with it: without, it bounds no processor time and pins nothing.
	Cgroups bool
	// HugePages mounts the host's pool of huge pages for libvirtd. How many
	// there are is the host's affair.
	HugePages bool
}

// StartLibvirt starts a private libvirtd and returns when it answers, with a
// started storage pool "default" and a bridge. The context bounds the call,
// not the daemon. It ends with [Libvirt.Stop], or when this process dies.
func StartLibvirt(ctx context.Context, opts *LibvirtOptions) (*Libvirt, error) {
	l, err := startLibvirt(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("starting private libvirtd: %w", err)
	}
	return l, nil
}

func startLibvirt(ctx context.Context, opts *LibvirtOptions) (*Libvirt, error) {
	if opts == nil || opts.Dir == "" {
		return nil, errors.New("LibvirtOptions.Dir is required")
	}
	if err := check(hostTools, true); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	l := &Libvirt{
		Dir:     dir,
		Socket:  filepath.Join(dir, "run", "libvirt-sock"),
		PoolDir: filepath.Join(dir, "pool"),
		Bridge:  opts.Bridge,
		gone:    make(chan struct{}),
	}
	l.URI = "qemu+unix:///system?socket=" + l.Socket
	if l.Bridge == "" {
		l.Bridge = "br0"
	}
	addr := opts.BridgeAddr
	if !addr.IsValid() {
		addr = netip.MustParsePrefix("192.0.2.1/24")
	}
	cache := filepath.Join(dir, "cache")
	if opts.Cache != "" {
		if cache, err = filepath.Abs(opts.Cache); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(cache, 0o700); err != nil {
			return nil, err
		}
	}
	if l.listening() {
		return nil, fmt.Errorf("directory %q is in use by a running libvirtd; stop it first", dir)
	}
	if err := prepare(dir, opts); err != nil {
		return nil, err
	}
	if opts.Cgroups {
		if l.cgroups, err = newCgroups(dir); err != nil {
			return nil, err
		}
	}
	// Without groups the table is empty.
	if err := os.WriteFile(filepath.Join(dir, "cgroups"), []byte(l.cgroups.table()), 0o600); err != nil {
		return nil, errors.Join(err, l.cgroups.remove())
	}
	if err := l.hold(cache, addr); err != nil {
		return nil, errors.Join(err, l.cgroups.remove())
	}
	if err := l.ready(ctx, 0); err != nil {
		return nil, errors.Join(err, l.Stop())
	}
	if _, err := os.Stat(filepath.Join(dir, "etc/storage/default.xml")); err != nil {
		_, err = l.Virsh(ctx, "pool-define-as default dir --target "+l.PoolDir+"; pool-autostart default; pool-start default")
		if err != nil {
			return nil, errors.Join(err, l.Stop())
		}
	}
	return l, nil
}

// hold starts PID 1 of the namespaces.
func (l *Libvirt) hold(cache string, addr netip.Prefix) error {
	script := filepath.Join(l.Dir, "holder.sh")
	if err := os.WriteFile(script, []byte(holderScript), 0o600); err != nil {
		return err
	}
	out, err := os.OpenFile(l.holderLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	r, w, err := os.Pipe() // close-on-exec, so that no child of ours gets w
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", script, l.Dir, cache, l.Bridge, addr.String())
	cmd.Dir = "/"
	cmd.Env = environ()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("%w (namespaces need CAP_SYS_ADMIN; in a container use --privileged)", err), w.Close())
	}
	l.lifeline, l.holder, l.PID = w, cmd.Process, cmd.Process.Pid
	if l.pidns, err = os.Readlink(procPath(l.PID, "ns/pid")); err != nil {
		err = errors.Join(err, l.holder.Kill())
	}
	go func() {
		// PID 1 can be waited for once everything else in there is gone.
		_ = cmd.Wait()
		close(l.gone)
	}()
	return err
}

// Stop kills everything in the namespaces: libvirtd, its guests and its
// helpers. It keeps Dir, and may be called again.
func (l *Libvirt) Stop() error {
	if err := l.holder.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping private libvirtd: %w", err)
	}
	select {
	case <-l.gone:
	case <-time.After(30 * time.Second):
		return fmt.Errorf("stopping private libvirtd: namespace of pid %d still has processes 30 s after SIGKILL", l.PID)
	}
	err := l.lifeline.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if err = errors.Join(err, l.cgroups.remove()); err != nil {
		return fmt.Errorf("stopping private libvirtd: %w", err)
	}
	return nil
}

func (l *Libvirt) holderLog() string { return filepath.Join(l.Dir, "log", "holder.log") }

// logs returns the last lines of the logs, to be quoted in errors.
func (l *Libvirt) logs() string {
	var b strings.Builder
	for _, name := range []string{l.holderLog(), filepath.Join(l.Dir, "log", "libvirtd.log")} {
		text, _ := os.ReadFile(name) // an absent log says nothing
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		b.WriteString(strings.Join(lines[max(0, len(lines)-5):], "\n"))
	}
	return b.String()
}
