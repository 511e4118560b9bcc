//go:build linux

package lxc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/guestforge/provision"
)

// Why a definition differs, and what becomes of it.
const (
	byHand    = "the configuration was changed by hand; it stays so"
	byVersion = "it was made by another version, or for another host; the next start makes it again"
	unseen    = "the settings in that file are not looked at"
)

// Drift implements [provision.Drifter]: it compares liblxc's configuration of the
// guest, key by key, with the one that it would get now, and the hook likewise. Files
// that the configuration includes are named and not looked at.
func (b *Backend) Drift(ctx context.Context, id provision.ID, have *provision.Spec) ([]provision.Change, error) {
	d, err := b.find(ctx, id)
	if err != nil {
		return nil, err
	}
	text, err := readFile(b.at.file(d.Spec.Name, fileConfig), maxConfig)
	if err != nil {
		return nil, err
	}
	conf, err := parseConfig(text)
	if err != nil {
		return nil, err
	}
	would, err := b.wouldBe(d, have)
	if err != nil {
		return nil, err
	}
	reason := byHand
	if untouched(text) {
		reason = byVersion
	}
	list := differences(conf, would, reason)
	hook, err := b.hookDrift(d)
	return append(list, hook...), err
}

// wouldBe are the settings of a guest that is made of a Spec now. What the backend has
// chosen stays, and so does what Host compares by itself.
func (b *Backend) wouldBe(d *definition, have *provision.Spec) (settings, error) {
	n := newDefinition(&provision.NewGuest{ID: d.ID, Spec: have})
	n.Spec.Name, n.Spec.Autostart = d.Spec.Name, d.Spec.Autostart
	n.Base, n.Pin, n.Room, n.OwnNetwork = d.Base, d.Pin, d.Room, d.OwnNetwork
	if len(have.CPU.Pin) > 0 {
		n.Pin = have.CPU.Pin
	}
	switch {
	case n.Native.Privileged:
		n.Base = 0
	case n.Base == 0:
		n.Base = b.block(d.ID, 0)
	}
	if n.Halt == "" {
		n.Halt = d.Halt
	}
	h, err := b.hostFor(n)
	if err != nil {
		return nil, err
	}
	s := byKey(n.items(h))
	for i, nic := range have.NICs {
		if nic.Bridge == "" { // taken away, which Host tells
			maps.DeleteFunc(s, func(key string, _ []string) bool { return strings.HasPrefix(key, fmt.Sprintf("lxc.net.%d.", i)) })
		}
	}
	return s, nil
}

// differences compares settings.
func differences(have, want settings, reason string) []provision.Change {
	var list []provision.Change
	for _, key := range slices.Sorted(maps.Keys(both(have, want))) {
		if key == keyAutostart || slices.Equal(have[key], want[key]) {
			continue
		}
		c := provision.Change{Path: key, Have: value(key, have[key]), Want: value(key, want[key]), Impact: provision.ImpactRestart, Reason: reason}
		if key == "lxc.include" {
			c.Reason = unseen
		}
		list = append(list, c)
	}
	return list
}

// keyAutostart is a setting that Host compares by itself: of a suspended guest it is
// not what was asked for.
const keyAutostart = "lxc.start.auto"

func both(a, b settings) settings {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// value writes the values of a key. An environment may have secrets in it.
func value(key string, list []string) string {
	if key == "lxc.environment" && len(list) > 0 {
		return "(not shown)"
	}
	return printable(strings.Join(list, "; "))
}

// hookDrift tells whether the hook is another script, or cannot be run.
func (b *Backend) hookDrift(d *definition) ([]provision.Change, error) {
	want, err := b.hook(d)
	if err != nil {
		return nil, err
	}
	path := b.at.file(d.Spec.Name, fileHook)
	c := provision.Change{Path: fileHook, Want: script(want, hookMode), Impact: provision.ImpactRestart, Reason: "the next start makes it again"}
	have, err := readFile(path, maxConfig)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Lstat(path); err == nil {
			if bytes.Equal(have, want) && info.Mode() == hookMode {
				return nil, nil
			}
			c.Have = script(have, info.Mode())
		}
	}
	if err != nil && !missing(err) {
		return nil, err
	}
	return []provision.Change{c}, nil
}

func script(text []byte, mode os.FileMode) string {
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%s, SHA-256 %x…", mode, sum[:6])
}

var _ provision.Drifter = (*Backend)(nil)
