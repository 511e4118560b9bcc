package kvm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// An image is two volumes: its content, and a manifest that is written last. One
// without a manifest is what an import left that did not finish.
const (
	imagePrefix    = "image-"
	manifestSuffix = ".json"
	maxManifest    = 64 << 10
)

var errNotOurs = errors.New("is not the manifest of an image of ours, or is damaged")

func contentName(image, format string) string { return imagePrefix + image + "." + format }
func manifestName(image string) string        { return imagePrefix + image + manifestSuffix }

// Images implements [provision.Imager].
func (b *Backend) Images(ctx context.Context) ([]provision.Image, error) {
	p, err := b.filePool(ctx)
	if err != nil {
		return nil, err
	}
	vols, err := b.volumes(ctx, p, imagePrefix)
	if err != nil {
		return nil, err
	}
	var list []provision.Image
	for _, v := range vols {
		if !strings.HasSuffix(v.Name, manifestSuffix) {
			continue
		}
		img, err := b.manifest(ctx, v)
		if errors.Is(err, provision.ErrNotFound) || errors.Is(err, errNotOurs) {
			continue // removed meanwhile, its import is about to finish, or it is somebody else's file
		}
		if err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	return list, nil
}

// image returns one image, or ErrNotFound.
func (b *Backend) image(ctx context.Context, p *pool, name string) (provision.Image, error) {
	v, err := b.byName(ctx, p.ofFiles(), manifestName(name))
	if err == nil {
		var img provision.Image
		if img, err = b.manifest(ctx, v); err == nil {
			return img, b.hasContent(ctx, p, &img)
		}
	}
	if errors.Is(err, provision.ErrNotFound) {
		return provision.Image{}, fmt.Errorf("image %q: %w", name, provision.ErrNotFound)
	}
	return provision.Image{}, err
}

// hasContent looks for the content of an image, which somebody may have removed.
func (b *Backend) hasContent(ctx context.Context, p *pool, img *provision.Image) error {
	name := contentName(img.Name, img.Format)
	_, err := b.byName(ctx, p.ofFiles(), name)
	if errors.Is(err, provision.ErrNotFound) {
		return fmt.Errorf("image %q: its volume %s is gone from the pool; remove the image and import it again: %w", img.Name, name, err)
	}
	return err
}

// manifest reads what the import of an image recorded. An empty one was not
// written yet.
func (b *Backend) manifest(ctx context.Context, v libvirt.StorageVol) (provision.Image, error) {
	text, err := b.download(ctx, v, 0, maxManifest)
	if err != nil {
		return provision.Image{}, fmt.Errorf("image manifest %s: %w", v.Name, err)
	}
	text = bytes.TrimRight(text, "\x00")
	if len(text) == 0 {
		return provision.Image{}, provision.ErrNotFound
	}
	var img provision.Image
	if err := json.Unmarshal(text, &img); err != nil || manifestName(img.Name) != v.Name {
		return provision.Image{}, fmt.Errorf("volume %s: %w", v.Name, errNotOurs)
	}
	return img, nil
}

// ImportImage implements [provision.Imager].
func (b *Backend) ImportImage(ctx context.Context, n *provision.NewImage, r io.Reader, s *provision.Steps) (provision.Image, error) {
	if n.Format != "qcow2" && n.Format != "raw" {
		return provision.Image{}, &provision.FieldError{Path: "format", Value: n.Format, Problem: "is not a format of disk images here; use qcow2 or raw"}
	}
	body := bufio.NewReaderSize(r, 64<<10)
	head, err := body.Peek(headerSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return provision.Image{}, err
	}
	capacity, err := capacityOf(n.Format, head, n.Size)
	if err != nil {
		return provision.Image{}, err
	}
	p, err := b.filePool(ctx)
	if err != nil {
		return provision.Image{}, err
	}
	// Only what an import left that did not finish can be there.
	if err := b.RemoveImage(ctx, n.Name); err != nil {
		return provision.Image{}, err
	}
	// The volume is made as raw whatever the format is: libvirt then makes an
	// empty file, and what is uploaded is all of it.
	content := contentName(n.Name, n.Format)
	err = s.Do(ctx, "image content", func(ctx context.Context) error {
		ref, err := b.createVolume(ctx, p, volume{name: content, format: "raw", size: uint64(n.Size)})
		if err != nil {
			return err
		}
		kept := &endsKept{r: body}
		if err := b.upload(ctx, ref, kept, n.Size); err != nil {
			return b.spaceless(ctx, p, uint64(n.Size), err)
		}
		return b.arrived(ctx, p, ref, kept.ends)
	})
	if err != nil {
		return provision.Image{}, err
	}
	img := provision.Image{Name: n.Name, Format: n.Format, SHA256: n.Sum(), Size: n.Size, Capacity: capacity, Imported: n.Imported}
	return img, s.Do(ctx, "image manifest", func(ctx context.Context) error {
		text, err := json.Marshal(img)
		if err != nil {
			return err
		}
		return b.store(ctx, p, manifestName(n.Name), text)
	})
}

// RemoveImage implements [provision.Imager]: the manifest goes first, so that a
// half-removed image is none.
func (b *Backend) RemoveImage(ctx context.Context, name string) error {
	p, err := b.filePool(ctx)
	if err != nil {
		return err
	}
	vols, err := b.volumes(ctx, p, imagePrefix+name+".")
	if err != nil {
		return err
	}
	if err := b.imageUnused(ctx, p, name, vols); err != nil {
		return err
	}
	for _, want := range []string{manifestName(name), contentName(name, "qcow2"), contentName(name, "raw")} {
		for _, v := range vols {
			if v.Name != want {
				continue
			}
			if err := b.deleteVolume(ctx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pool) imagePath(img *provision.Image) string {
	return p.ofFiles().path(contentName(img.Name, img.Format))
}

// filePool is the pool that images are in.
func (b *Backend) filePool(ctx context.Context) (*pool, error) {
	p, err := b.pool(ctx)
	if err != nil {
		return nil, err
	}
	return p.ofFiles(), nil
}
