//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// Names of containers that are looked at. liblxc takes any; one that is no word is
// nobody's guest.
var nameRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$`)

// names lists the containers of LXCPath, ours and others'.
func (b *Backend) names() ([]string, error) {
	entries, err := os.ReadDir(b.opts.LXCPath)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", provision.ErrUnavailable, err)
	}
	var list []string
	for _, e := range entries {
		if !e.IsDir() || !nameRE.MatchString(e.Name()) {
			continue
		}
		if _, err := os.Lstat(b.at.file(e.Name(), fileConfig)); err == nil {
			list = append(list, e.Name())
		}
	}
	return list, nil
}

// load reads the definition of a guest by its name: nil for a container of others.
func (b *Backend) load(name string) (*definition, error) {
	return readDefinition(b.at.file(name, fileDefinition), name)
}

// readDefinition reads a definition that is to be of that name: of a directory that
// was renamed or copied it is another's.
func readDefinition(path, name string) (*definition, error) {
	data, err := readFile(path, maxDefinition)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := parseDefinition(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if d.Spec.Name != name {
		return nil, nil
	}
	return d, nil
}

// missing says that something is not there, or that a directory above it is none.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// find returns the definition of a guest by its ID. One of another guest that cannot be
// read is in nobody's way; where none is found, it might be the one, and is the error.
func (b *Backend) find(ctx context.Context, id provision.ID) (*definition, error) {
	if name, ok := b.known.Load(id); ok {
		if d, err := b.load(name.(string)); err == nil && d != nil && d.ID == id {
			return d, nil
		}
		b.known.Delete(id)
	}
	names, err := b.names()
	if err != nil {
		return nil, err
	}
	var unread []error
	for _, name := range names {
		if err := ctxerr.Of(ctx); err != nil {
			return nil, err
		}
		d, err := b.load(name)
		if err != nil {
			unread = append(unread, err)
			continue
		}
		if d != nil && d.ID == id {
			b.known.Store(id, name)
			return d, nil
		}
	}
	if len(unread) > 0 {
		return nil, errors.Join(unread...)
	}
	return nil, fmt.Errorf("%w: no guest in %s has the ID %s", provision.ErrNotFound, b.opts.LXCPath, id)
}

// SetRecord implements [provision.Backend].
func (b *Backend) SetRecord(ctx context.Context, id provision.ID, r provision.Record) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	if err := b.keep(b.at.file(d.Spec.Name, fileRecord), r, 0o600); err != nil {
		return err
	}
	return b.announce(id)
}

// announce tells those who watch that something of a guest changed.
func (b *Backend) announce(id provision.ID) error {
	f, err := os.OpenFile(filepath.Join(b.at.events(), string(id)), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// maxRecord is Host's own bound.
const maxRecord = 512 << 10

func (b *Backend) record(name string) (provision.Record, error) {
	data, err := readFile(b.at.file(name, fileRecord), maxRecord)
	return provision.Record(data), err
}
