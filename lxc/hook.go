//go:build linux

package lxc

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/guestforge/provision/internal/ctxerr"
	"github.com/guestforge/provision/internal/hostnet"
)

// hook returns the script that liblxc runs on the host at each start and end of the
// guest, also when the guest reboots itself or somebody starts it by hand: what does
// not stand in liblxc's configuration is put in place by it. liblxc tells by
// LXC_HOOK_TYPE which moment it is (lxc.hook.version = 1).
func (b *Backend) hook(d *definition) ([]byte, error) {
	root, err := b.rootOf(d).Script()
	if err != nil {
		return nil, err
	}
	var s strings.Builder
	s.WriteString(`#!/bin/sh
# Made by github.com/guestforge/provision from guest.json, which is what to change.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
`)
	fmt.Fprintf(&s, "guest=%s\nevent=%s\n", b.at.guest(d.Spec.Name), filepath.Join(b.at.events(), string(d.ID)))
	fmt.Fprintf(&s, "exec 2>>\"$guest/%s\"\n", fileHookLog)
	s.WriteString(hostnet.Prelude)
	fmt.Fprintf(&s, `case ${LXC_HOOK_TYPE-} in
pre-start)
	: >"$guest/%s"
	if [ -e "$guest/%s" ]; then
		echo 'the guest is suspended' >&2
		exit 1
	fi
	: >"$guest/%s"
`, fileHookLog, fileSuspended, fileConsole)
	s.WriteString(root)
	s.WriteString("\t;;\nup)\n\tcase ${LXC_NET_PEER-} in\n")
	nics := nicsFor(d)
	for _, n := range nics {
		up, err := n.Up()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&s, "\t%s)\n%s\t\t;;\n", n.Device(), up)
	}
	s.WriteString("\tesac\n\t;;\nstart-host)\n")
	limits, err := b.limitScript(d)
	if err != nil {
		return nil, err
	}
	s.WriteString(limits)
	s.WriteString("\t: >\"$event\"\n\t;;\npost-stop)\n")
	if len(nics) > 0 {
		down, err := hostnet.Down(nics...)
		if err != nil {
			return nil, err
		}
		s.WriteString(down)
	}
	s.WriteString("\t: >\"$event\"\n\t;;\nesac\n")
	return []byte(s.String()), nil
}

// runHook runs the hook as liblxc does. What it says of a failure is in its log, behind
// what earlier ones have said.
func (b *Backend) runHook(ctx context.Context, d *definition, env ...string) error {
	log, before := b.at.file(d.Spec.Name, fileHookLog), 0
	if said, err := readFile(log, maxSaid); err == nil {
		before = len(said)
	}
	cmd := exec.CommandContext(ctx, b.at.file(d.Spec.Name, fileHook))
	cmd.Env = append(slices.Clone(env), childEnv...)
	cmd.WaitDelay = time.Second
	out := &head{}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctxerr.Of(ctx)
	}
	if said, rerr := readFile(log, maxSaid); rerr == nil {
		out.buf = append(out.buf, said[min(before, len(said)):]...)
	}
	return &Error{Op: "run the hook " + env[0], Cause: printable(string(bytes.TrimSpace(out.buf))), Err: err}
}

// takeDown removes what the hook has put in place outside of the guest, as it does
// itself when a guest ends in the ordinary way.
func (b *Backend) takeDown(ctx context.Context, d *definition) error {
	return b.runHook(ctx, d, "LXC_HOOK_TYPE=post-stop")
}
