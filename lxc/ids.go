//go:build linux

package lxc

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/guestforge/provision"
)

// takeBlock reserves a block of user ids for a guest, for the whole machine. The kernel
// lets one of two creators make a link. The search
// begins where the guest's ID says, so that it is short, and a repeated one finds the
// same block.
func (b *Backend) takeBlock(id provision.ID) (uint32, error) {
	for i := range b.opts.IDs.Blocks {
		base := b.block(id, i)
		mine, err := b.claim(base, id)
		if err != nil || mine {
			return base, err
		}
	}
	return 0, fmt.Errorf("%w: all %d blocks of user ids of Options.IDs are taken", provision.ErrCapacity, b.opts.IDs.Blocks)
}

// block is the one that is tried after i others.
func (b *Backend) block(id provision.ID, i int) uint32 {
	r := b.opts.IDs
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	n := (uint64(h.Sum32()) + uint64(i)) % uint64(r.Blocks)
	return r.First + uint32(n)*idBlock
}

// claim is the reservation of a block: a link that is named by its first id, and
// points to the guest in its LXCPath. Only the ID counts, as an LXCPath can be moved.
type claim struct {
	base uint32
	path string // LXCPath
	id   provision.ID
	made time.Time
}

func (b *Backend) claimAt(base uint32) string {
	return filepath.Join(b.opts.IDDir, strconv.FormatUint(uint64(base), 10))
}

// claimOn reads who has a block.
func (b *Backend) claimOn(base uint32) (claim, error) {
	path := b.claimAt(base)
	owner, err := os.Readlink(path)
	if err != nil {
		return claim{}, err
	}
	when, _ := changed(path) // or it is gone meanwhile
	return claim{base, filepath.Dir(owner), provision.ID(filepath.Base(owner)), when}, nil
}

// claim says whether a block is the guest's own now.
func (b *Backend) claim(base uint32, id provision.ID) (bool, error) {
	if err := os.MkdirAll(b.opts.IDDir, 0o700); err != nil {
		return false, err
	}
	err := os.Symlink(b.at.guest(string(id)), b.claimAt(base)) // made with its content at once
	if errors.Is(err, fs.ErrExist) {
		c, err := b.claimOn(base)
		if errors.Is(err, fs.ErrNotExist) {
			return b.claim(base, id)
		}
		return c.id == id, err
	}
	if err != nil {
		return false, err
	}
	return true, syncDir(b.opts.IDDir)
}

// keepBlock makes sure that a guest's block is its own before it starts: the guest may
// have come with its LXCPath from another machine, or from a backup.
func (b *Backend) keepBlock(d *definition) error {
	if d.Base == 0 {
		return nil
	}
	mine, err := b.claim(d.Base, d.ID)
	if err == nil && !mine {
		err = fmt.Errorf("%w: the user ids from %d on are those of another guest, see the link in %s; copy the guest's data into one that is made anew",
			provision.ErrConflict, d.Base, b.opts.IDDir)
	}
	return err
}

// giveBlock gives a block back, if it is the guest's.
func (b *Backend) giveBlock(base uint32, id provision.ID) error {
	c, err := b.claimOn(base)
	if errors.Is(err, fs.ErrNotExist) || err == nil && c.id != id {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(b.claimAt(base)); !missing(err) {
		return err
	}
	return nil
}

// claims lists all blocks that are reserved on the machine.
func (b *Backend) claims() ([]claim, error) {
	entries, err := os.ReadDir(b.opts.IDDir)
	if err != nil && !missing(err) {
		return nil, err
	}
	var list []claim
	for _, e := range entries {
		base, err := strconv.ParseUint(e.Name(), 10, 32)
		if err != nil {
			continue
		}
		if c, err := b.claimOn(uint32(base)); err == nil {
			list = append(list, c)
		}
	}
	return list, nil
}

// blocksOf lists the blocks that are a guest's.
func (b *Backend) blocksOf(id provision.ID) ([]uint32, error) {
	claims, err := b.claims()
	var list []uint32
	for _, c := range claims {
		if c.id == id {
			list = append(list, c.base)
		}
	}
	return list, err
}
