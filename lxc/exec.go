//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/rootfs"
)

// basePath is the PATH of programs.
const basePath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Exit statuses of lxc-attach and of shells for what cannot be run.
const (
	statusNoRight = 126
	statusMissing = 127
)

// Names of variables in which values come to a shell of the guest, where lxc-attach has
// no option for what is wanted: see [invoke]. lxc-attach on the host has them in its
// own environment, and they mean nothing to the libraries that it uses.
const (
	envPrefix = "PROVISION_EXEC_"
	dirVar    = envPrefix + "DIR"
)

// statusNoDir is what that shell ends with when it cannot enter the directory.
const statusNoDir = 125

// invocation is what lxc-attach is to run.
type invocation struct {
	args   []string // of lxc-attach, behind its first ones
	secret []string // environment of lxc-attach
	execs  int
}

// Exec implements [provision.Execer] by lxc-attach: the program is in all namespaces,
// in the control group and under the restrictions of the guest. Its environment is
// HOME, PATH, container and, on a terminal, TERM, beside Env. It has the user's own
// group and no others. Streams are passed on while it runs, without a bound; what
// other programs write to them after its end, up to 64 KiB, is waited for while they
// write, with pauses of up to 0.2 seconds.
// Env and Dir need a POSIX shell in /bin/sh of the guest, which may have its own mind
// about a few variables, as PWD and PPID.
func (b *Backend) Exec(ctx context.Context, id provision.ID, argv []string, opts *provision.ExecOptions) (provision.ExecResult, error) {
	d, l, err := b.runs(ctx, id)
	if err != nil {
		return provision.ExecResult{}, err
	}
	u, err := b.user(d, opts.User)
	if err != nil {
		return provision.ExecResult{}, err
	}
	g, err := b.group(d, groupGuest)
	if err != nil {
		return provision.ExecResult{}, err
	}
	first, err := initFD(l.init)
	if err != nil {
		return provision.ExecResult{}, err
	}
	defer first.Close()
	log, err := memoryFile()
	if err != nil {
		return provision.ExecResult{}, err
	}
	defer log.Close()
	v := invoke(argv, opts, u)
	s, err := newStreams(opts)
	if err != nil {
		return provision.ExecResult{}, err
	}
	a := &attached{
		argv: append([]string{b.opts.Attach, "-P", b.opts.LXCPath, "-n", d.Spec.Name, "-l", "ERROR",
			"-o", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), log.Fd())}, v.args...),
		env: append(v.secret, childEnv...), files: s.theirs, execs: v.execs, started: s.begin, ended: s.drainTerminal, procs: g.Procs, quit: make(chan struct{}),
	}
	o, err := b.await(ctx, a, s)
	if err != nil || !o.ran {
		err = b.whyNot(d, o, v, err, log)
		if ctx.Err() != nil {
			return provision.ExecResult{}, err
		}
	}
	wait := time.Millisecond
	switch {
	case err != nil && !errors.Is(err, provision.ErrInvalid): // into a guest that ends nothing is cloned
		wait = endingTime
	case o.status.Signaled() && o.status.Signal() == unix.SIGKILL:
		wait = dyingTime
	}
	if gone, perr := ready(wait, int(first.Fd())); gone || perr != nil {
		return provision.ExecResult{}, errors.Join(errGuestEnded, perr)
	}
	if err != nil {
		return provision.ExecResult{}, err
	}
	return s.result(o.status)
}

// How long the first process of a guest is waited for that may be ending: the kernel
// kills all others before. A program that was killed may have been so by anybody; one
// that could not be started tells more of its guest.
const (
	dyingTime  = 100 * time.Millisecond
	endingTime = 2 * time.Second
)

// runs returns a guest that runs.
func (b *Backend) runs(ctx context.Context, id provision.ID) (*definition, life, error) {
	d, err := b.find(ctx, id)
	if err != nil {
		return nil, life{}, err
	}
	l, err := b.lifeOf(d)
	if err == nil && l.state != provision.StateRunning {
		err = fmt.Errorf("%w: it is %s", provision.ErrState, l.state)
	}
	if err != nil {
		return d, l, err
	}
	// lxc-attach waits for the guest's monitor without a deadline.
	_, err = b.monitorState(ctx, d.Spec.Name)
	return d, l, err
}

// ExecReady implements [provision.Execer].
func (b *Backend) ExecReady(ctx context.Context, id provision.ID) error {
	_, _, err := b.runs(ctx, id)
	return err
}

// await runs a program with its streams, and kills it when the context ends.
func (b *Backend) await(ctx context.Context, a *attached, s *streams) (outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	killed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { killed <- a.kill(context.WithoutCancel(ctx)) })
	o, err := a.run()
	s.end()
	if stop() {
		return o, err
	}
	left := <-killed
	return o, stopped(ctx, left)
}

// invoke puts the arguments of lxc-attach together. The program takes the place of the
// shell that prepares it.
func invoke(argv []string, opts *provision.ExecOptions, u user) invocation {
	v := invocation{execs: 1, args: []string{"--clear-env", "-u", strconv.Itoa(u.uid), "-g", strconv.Itoa(u.gid),
		"-v", basePath, "-v", "HOME=" + u.home}}
	if opts.TTY != nil {
		v.args = append(v.args, "-v", "TERM=xterm")
	}
	if len(opts.Env) == 0 && opts.Dir == "" {
		v.args = append(append(v.args, "--"), argv...)
		return v
	}
	v.execs = 2
	var script strings.Builder
	carry := func(name, value string) {
		v.args = append(v.args, "--keep-var", name)
		v.secret = append(v.secret, name+"="+value)
	}
	if opts.Dir != "" {
		carry(dirVar, opts.Dir)
		fmt.Fprintf(&script, "cd -P -- \"$%s\" || exit %d\nunset %s OLDPWD\n", dirVar, statusNoDir, dirVar)
	}
	for i, e := range opts.Env {
		name, value, _ := strings.Cut(e, "=")
		ours := envPrefix + strconv.Itoa(i)
		carry(ours, value)
		fmt.Fprintf(&script, "%s=$%s\nexport %s\nunset %s\n", name, ours, name, ours)
	}
	script.WriteString(`exec "$@"`)
	v.args = append(append(v.args, "--", "/bin/sh", "-c", script.String(), "sh"), argv...)
	return v
}

// whyNot says why a program did not run.
func (b *Backend) whyNot(d *definition, o outcome, v invocation, err error, log *os.File) error {
	if err != nil && !errors.Is(err, errNoExec) {
		return err
	}
	if l, lerr := b.lifeOf(d); lerr == nil && l.state != provision.StateRunning {
		return fmt.Errorf("%w: it is %s", provision.ErrState, l.state)
	}
	field := func(path, problem string) error { return &provision.FieldError{Path: path, Problem: problem} }
	switch code := o.status.ExitStatus(); {
	case err != nil || !o.status.Exited():
	case code == statusNoDir && v.execs > 1:
		return field("dir", "is no directory of the guest that the user may enter")
	case code == statusMissing || code == statusNoRight:
		return field("argv[0]", "cannot be started: the guest has no such program, or the user may not run it; env and dir need /bin/sh too")
	}
	cause := causeIn(log)
	if cause == "" {
		cause = "it ended before the program was started, and said nothing"
	}
	return &Error{Op: "attach to the guest", Cause: cause, Err: errors.Join(errNoExec, err)}
}

// user is an account of a guest.
type user struct {
	uid, gid int
	home     string
}

// maxAccounts bounds what is read of a guest's accounts.
const maxAccounts = 1 << 20

// user looks a user up in the guest's own accounts, in the tree that this package has
// mounted: what the tenant mounts over it is not there, and nothing of it can block.
func (b *Backend) user(d *definition, name string) (user, error) {
	if name == "" {
		return user{home: "/root"}, nil
	}
	bad := func(problem string) (user, error) {
		return user{}, &provision.FieldError{Path: "user", Value: name, Problem: problem}
	}
	t, err := rootfs.Open(b.rootOf(d).Path(), 0, 0)
	if err != nil {
		return user{}, err
	}
	defer t.Close()
	text, err := t.ReadFile("/etc/passwd", maxAccounts)
	if err != nil {
		return bad(fmt.Sprintf("cannot be looked up in the guest: %v", err))
	}
	u, ok := findUser(string(text), name)
	if !ok {
		return bad("is not among the users in the guest's /etc/passwd, or not in a form that passwd(5) allows")
	}
	return u, nil
}

// findUser reads passwd(5), which is the tenant's.
func findUser(text, name string) (user, bool) {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if f[0] != name {
			continue
		}
		if len(f) != 7 {
			return user{}, false
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 16) // a guest has 65536 of them
		gid, err2 := strconv.ParseUint(f[3], 10, 16)
		if err1 != nil || err2 != nil {
			return user{}, false
		}
		u := user{int(uid), int(gid), f[5]}
		if !strings.HasPrefix(u.home, "/") || len(u.home) >= unix.PathMax || printable(u.home) != u.home {
			u.home = "/"
		}
		return u, true
	}
	return user{}, false
}

var _ provision.Execer = (*Backend)(nil)
