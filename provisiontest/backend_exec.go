package provisiontest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// Exec implements [provision.Execer], with a handful of programs: true, false, echo,
// cat of its input, env, id -un, pwd, sleep SECONDS, by the Backend's clock, tail, which
// does not end, pidof, touch FILE, test -e FILE, stty size and sh -c "read line; PROGRAM". Their processes are known to this Backend value alone.
func (b *Backend) Exec(ctx context.Context, id provision.ID, argv []string, opts *provision.ExecOptions) (provision.ExecResult, error) {
	if err := b.refuseExec(opts); err != nil {
		return provision.ExecResult{}, err
	}
	if err := b.ExecReady(ctx, id); err != nil {
		return provision.ExecResult{}, err
	}
	run, ok := programs()[path.Base(argv[0])]
	if !ok || strings.HasPrefix(argv[0], "/nonexistent") {
		return provision.ExecResult{}, &provision.FieldError{Path: "argv[0]", Value: argv[0], Problem: "is no program of the guest"}
	}
	p := &process{Backend: b, ctx: ctx, guest: id, argv: argv, opts: *opts}
	if p.opts.Stdin == nil {
		p.opts.Stdin = strings.NewReader("")
	}
	if p.opts.Stdout == nil {
		p.opts.Stdout = io.Discard
	}
	if p.opts.Stderr == nil {
		p.opts.Stderr = io.Discard
	}
	defer b.began(id, argv[0])()
	defer p.attach()()
	code, err := run(p)
	return provision.ExecResult{Code: code}, err
}

func (b *Backend) refuseExec(o *provision.ExecOptions) error {
	errs := []error{b.refuse(provision.FeatureExec)}
	if o.User != "" {
		errs = append(errs, b.refuse(provision.FeatureExecUser))
	}
	if o.Dir != "" {
		errs = append(errs, b.refuse(provision.FeatureExecDir))
	}
	if o.TTY != nil {
		errs = append(errs, b.refuse(provision.FeatureExecTTY))
	}
	return errors.Join(errs...)
}

// ExecReady implements [provision.Execer].
func (b *Backend) ExecReady(ctx context.Context, id provision.ID) error {
	if err := b.refuse(provision.FeatureExec); err != nil {
		return err
	}
	return b.view(ctx, func(m *machine) error {
		g, err := m.byID(id)
		switch {
		case err != nil:
			return err
		case g.State == provision.StateStarting:
			return fmt.Errorf("%w: the guest has not booted", provision.ErrNotReady)
		case g.State != provision.StateRunning:
			return stateError("run a program in", g)
		}
		return nil
	})
}

// began notes a process of a guest, until end is called.
func (b *Backend) began(id provision.ID, program string) (end func()) {
	name := string(id) + " " + path.Base(program)
	b.live.Lock()
	defer b.live.Unlock()
	put(&b.processes, name, b.processes[name]+1)
	return func() {
		b.live.Lock()
		defer b.live.Unlock()
		b.processes[name]--
	}
}

// process is a program that runs.
type process struct {
	*Backend
	ctx   context.Context
	guest provision.ID
	argv  []string
	opts  provision.ExecOptions // with all streams
	tty   *tty                  // nil: none
}

func programs() map[string]func(*process) (int, error) {
	end := func(code int) func(*process) (int, error) {
		return func(*process) (int, error) { return code, nil }
	}
	return map[string]func(*process) (int, error){
		"true":  end(0),
		"false": end(1),
		"echo":  func(p *process) (int, error) { return p.say(strings.Join(p.argv[1:], " ")) },
		"env": func(p *process) (int, error) {
			return p.say(strings.Join(slices.Concat([]string{"PATH=/usr/bin:/bin"}, p.opts.Env), "\n"))
		},
		"id":    func(p *process) (int, error) { return p.say(defaulted(p.opts.User, "root")) },
		"pwd":   func(p *process) (int, error) { return p.say(defaulted(p.opts.Dir, "/")) },
		"cat":   (*process).cat,
		"sleep": (*process).sleep,
		"tail":  (*process).forever,
		"pidof": (*process).pidof,
		"touch": (*process).touch,
		"test":  (*process).test,
		"stty":  (*process).stty,
		"sh":    (*process).shell,
	}
}

func defaulted(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (p *process) say(line string) (int, error) {
	_, err := io.WriteString(p.opts.Stdout, line+"\n")
	return 0, err
}

func (p *process) cat() (int, error) {
	if len(p.argv) > 1 {
		_, err := fmt.Fprintf(p.opts.Stderr, "cat: %s: No such file or directory\n", p.argv[1])
		return 1, err
	}
	_, err := io.Copy(p.opts.Stdout, p.opts.Stdin)
	return 0, err
}

// touch and test know files by their names alone, as the disks of a guest hold them.
func (p *process) touch() (int, error) {
	return 0, p.change(p.ctx, p.guest, func(_ *machine, g *guest) error {
		put(&g.Files, p.argv[len(p.argv)-1], true)
		return nil
	})
}

func (p *process) test() (code int, err error) {
	err = p.change(p.ctx, p.guest, func(_ *machine, g *guest) error {
		if !g.Files[p.argv[len(p.argv)-1]] {
			code = 1
		}
		return nil
	})
	return code, err
}

func (p *process) sleep() (int, error) {
	n, err := strconv.Atoi(p.argv[len(p.argv)-1])
	if err != nil || n < 0 {
		return 1, nil
	}
	return 0, p.Backend.opts.Clock.Sleep(p.ctx, time.Duration(n)*time.Second)
}

func (p *process) forever() (int, error) {
	<-p.ctx.Done()
	return 0, ctxerr.Of(p.ctx)
}

func (p *process) pidof() (int, error) {
	p.live.Lock()
	n := p.processes[string(p.guest)+" "+p.argv[len(p.argv)-1]]
	p.live.Unlock()
	if n == 0 {
		return 1, nil
	}
	return p.say(strings.Repeat("1 ", n))
}
