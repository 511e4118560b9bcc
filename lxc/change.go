//go:build linux

package lxc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/guestforge/provision"
)

// files are what a guest is run from, as its definition and the host give it.
type files struct {
	definition, config, hook []byte
	items                    []item // of config
}

// filesOf makes the files of a guest. It writes nothing.
func (b *Backend) filesOf(d *definition) (*files, error) {
	f := new(files)
	h, err := b.hostFor(d)
	if err != nil {
		return nil, err
	}
	f.items = d.items(h)
	if f.config, err = render(f.items); err != nil {
		return nil, err
	}
	if f.hook, err = b.hook(d); err != nil {
		return nil, err
	}
	f.definition, err = d.encode()
	return f, err
}

// writeDefinition writes a definition, and what liblxc gets of it, into a directory
// that becomes a guest's after [syncAll].
func (b *Backend) writeDefinition(dir string, d *definition) error {
	f, err := b.filesOf(d)
	if err != nil {
		return err
	}
	return errors.Join(
		makeFile(dir+"/"+fileDefinition, f.definition, 0o600),
		makeFile(dir+"/"+fileHook, f.hook, hookMode),
		makeFile(dir+"/"+fileConfig, f.config, 0o600))
}

// change changes the definition of a guest, and what liblxc gets of it. Of a
// configuration that somebody has changed by hand only those settings are replaced
// that f makes other ones. Nothing takes effect in a guest that is on.
//
// A process that is killed in between leaves what the next change or start finishes:
// see [Backend.refresh].
func (b *Backend) change(ctx context.Context, id provision.ID, f func(*definition) error) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	was, err := b.filesOf(d)
	if err != nil {
		return err
	}
	if err := f(d); err != nil {
		return err
	}
	now, err := b.filesOf(d)
	if err != nil {
		return err
	}
	name := d.Spec.Name
	have, err := readFile(b.at.file(name, fileConfig), maxConfig)
	if err != nil {
		return err
	}
	// What they are made from comes first, so that they can be made again.
	order := []string{fileDefinition, fileHook, fileConfig}
	if !untouched(have) {
		// This one cannot: until it is right, the definition tells a repeated call
		// what is to be replaced.
		now.config = merge(have, was.items, now.items)
		order = []string{fileConfig, fileHook, fileDefinition}
	}
	if err := b.put(name, now, order...); err != nil {
		return err
	}
	return b.announce(id)
}

// put writes files of a guest, in order, unless they are so already.
func (b *Backend) put(name string, f *files, order ...string) error {
	data := map[string][]byte{fileDefinition: f.definition, fileHook: f.hook, fileConfig: f.config}
	mode := map[string]fs.FileMode{fileDefinition: 0o600, fileHook: hookMode, fileConfig: 0o600}
	for _, file := range order {
		path := b.at.file(name, file)
		have, err := readFile(path, maxConfig)
		if err == nil && bytes.Equal(have, data[file]) && hasMode(path, mode[file]) {
			continue
		}
		if err != nil && !missing(err) {
			return err
		}
		if err := b.keep(path, data[file], mode[file]); err != nil {
			return err
		}
	}
	return nil
}

func hasMode(path string, mode fs.FileMode) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode() == mode
}

// hookMode is for liblxc, which runs it as root.
const hookMode fs.FileMode = 0o700

// refresh makes the files of a guest that is off what its definition and the host,
// as it is now, give: it may have been upgraded, or have got other control groups,
// and a change may have been interrupted. A configuration that somebody has changed
// by hand stays: see [Backend.Drift].
func (b *Backend) refresh(d *definition) error {
	now, err := b.filesOf(d)
	if err != nil {
		return err
	}
	name := d.Spec.Name
	have, err := readFile(b.at.file(name, fileConfig), maxConfig)
	if err != nil {
		return err
	}
	order := []string{fileDefinition, fileHook}
	if untouched(have) {
		order = append(order, fileConfig)
	} else if err := confined(have, now.items); err != nil {
		return fmt.Errorf("%s: %w", b.at.file(name, fileConfig), err)
	}
	return b.put(name, now, order...)
}

// vital are the settings without which liblxc runs a guest with the ids or the root of
// the host, out of its control groups, or in spite of its suspension.
var vital = []string{"lxc.rootfs.path", "lxc.rootfs.options", "lxc.idmap", "lxc.hook.pre-start", "lxc.cgroup.dir.monitor",
	"lxc.cgroup.dir.monitor.pivot", "lxc.cgroup.dir.container", "lxc.cgroup.dir.container.inner"}

// confined refuses a configuration that was changed by hand, or by accident, so that
// nothing confines the guest any more.
func confined(text []byte, items []item) error {
	have, err := parseConfig(text)
	if err != nil {
		return err
	}
	want := byKey(items)
	for _, key := range vital {
		for _, v := range want[key] {
			if !slices.Contains(have[key], v) {
				return fmt.Errorf("%w: it was changed by hand and lacks %s = %s; put that back", provision.ErrConflict, key, v)
			}
		}
	}
	if kind := have.last("lxc.net.0.type"); kind == "" || kind == "none" {
		return fmt.Errorf("%w: it was changed by hand and gives the guest the network of the host; set lxc.net.0.type, to empty if it is to have none", provision.ErrConflict)
	}
	return nil
}

// digestPrefix begins the line, before the first setting, that tells a configuration
// that was changed by hand.
const digestPrefix = "# SHA-256 of what follows: "

// seal puts a digest before settings.
func seal(body []byte) []byte {
	sum := sha256.Sum256(body)
	return fmt.Appendf(nil, "%s%s%s\n%s", configHead, digestPrefix, hex.EncodeToString(sum[:]), body)
}

// untouched says that a configuration is as this package, of whatever version, has
// written it.
func untouched(text []byte) bool {
	_, rest, ok := bytes.Cut(text, []byte(digestPrefix))
	digest, body, ok2 := bytes.Cut(rest, []byte("\n"))
	sum := sha256.Sum256(body)
	return ok && ok2 && string(digest) == hex.EncodeToString(sum[:])
}

// merge replaces, in a configuration that somebody has changed by hand, the settings
// that are to change. It is not untouched afterwards either.
func merge(text []byte, was, now []item) []byte {
	before, after := byKey(was), byKey(now)
	changed := map[string]bool{}
	for _, s := range []settings{before, after} {
		for key := range maps.Keys(s) {
			changed[key] = changed[key] || !slices.Equal(before[key], after[key])
		}
	}
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		key, _, _ := strings.Cut(string(line), "=")
		if !changed[strings.TrimSpace(key)] {
			out.Write(line)
		}
	}
	if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		out.WriteByte('\n')
	}
	for _, it := range now {
		if changed[it.key] {
			fmt.Fprintf(&out, "%s = %s\n", it.key, it.value)
		}
	}
	return out.Bytes()
}

func byKey(list []item) settings {
	s := settings{}
	for _, it := range list {
		s[it.key] = append(s[it.key], it.value)
	}
	return s
}
