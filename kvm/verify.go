package kvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// endSize is how much of both ends of an upload is read back.
const endSize = 64 << 10

// ends is what is remembered of data that was uploaded.
type ends struct {
	size       int64
	head, tail []byte
}

// endsKept remembers the ends of what passes through it.
type endsKept struct {
	r io.Reader
	ends
}

func (k *endsKept) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	k.size += int64(n)
	k.head = append(k.head, p[:min(n, endSize-len(k.head))]...)
	k.tail = append(k.tail, p[:n]...)
	if over := len(k.tail) - endSize; over > 0 {
		k.tail = append(k.tail[:0], k.tail[over:]...)
	}
	return n, err
}

var errVanished = fmt.Errorf("%w: it was removed or changed by others while it was written", provision.ErrState)

// arrived makes sure that an upload is where it belongs. A refresh of the pool in
// the middle of it, which any client may ask for and libvirtd does itself after
// each upload, makes libvirt forget that the volume is in use: it can then be
// deleted, and the upload goes on into a file without a name and succeeds.
func (b *Backend) arrived(ctx context.Context, p *pool, v libvirt.StorageVol, want ends) error {
	now, err := b.byName(ctx, p, v.Name)
	if errors.Is(err, provision.ErrNotFound) || err == nil && now.Key != v.Key {
		return errVanished
	}
	if err != nil {
		return err
	}
	at := want.size - int64(len(want.tail))
	tail, err := b.download(ctx, now, uint64(at), uint64(len(want.tail))+1) // one more than there may be
	if err != nil {
		return unreadable(err)
	}
	head := tail
	if at > 0 {
		if head, err = b.download(ctx, now, 0, uint64(len(want.head))); err != nil {
			return unreadable(err)
		}
	}
	if !bytes.Equal(tail, want.tail) || !bytes.Equal(head, want.head) {
		return errVanished
	}
	return nil
}

// unreadable is what libvirt says of a file that is gone or shorter than it was.
func unreadable(err error) error {
	var answer libvirt.Error
	if errors.As(err, &answer) {
		return fmt.Errorf("%w: %w", errVanished, err)
	}
	return err
}

// sized compares the size of a volume with what was asked for. libvirt rounds sizes
// up to KiB, and those of block devices to what their storage deals out.
func (b *Backend) sized(ctx context.Context, v libvirt.StorageVol, want uint64, block bool) error {
	var have uint64
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		_, have, _, err = l.StorageVolGetInfo(v)
		return err
	})
	if err == nil && (have < want || have-want >= 1<<10 && !block) {
		return fmt.Errorf("libvirt made it of %d bytes instead of %d", have, want)
	}
	return err
}

// spaceless marks the error of a pool that is full by syscall.ENOSPC. libvirt has
// no code for it: its error is a system error (38) with the text that the C library
// has for the number, or an internal one with what qemu-img or lvcreate says.
func (b *Backend) spaceless(ctx context.Context, p *pool, need uint64, err error) error {
	var answer libvirt.Error
	if !errors.As(err, &answer) {
		return err
	}
	full := strings.Contains(answer.Message, "No space left on device")
	if !full && p.block() {
		free, ferr := b.free(ctx, p)
		full = ferr == nil && free < need
	}
	if !full {
		return err
	}
	return fmt.Errorf("%w: the storage pool %q is full: %w", syscall.ENOSPC, p.name, err)
}

// free is how much a pool has left, as far as libvirt knows: of files, that is as
// of its last look at the pool.
func (b *Backend) free(ctx context.Context, p *pool) (uint64, error) {
	var free uint64
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		_, _, _, free, err = l.StoragePoolGetInfo(p.ref)
		return err
	})
	return free, err
}
