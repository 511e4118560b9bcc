package provisiontest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/guestforge/provision"
)

// Images implements [provision.Imager].
func (b *Backend) Images(ctx context.Context) ([]provision.Image, error) {
	if err := b.refuse(provision.FeatureImages); err != nil {
		return nil, err
	}
	var list []provision.Image
	err := b.view(ctx, func(m *machine) error {
		for _, name := range slices.Sorted(maps.Keys(m.Images)) {
			list = append(list, m.Images[name])
		}
		return nil
	})
	return list, err
}

// ImportImage implements [provision.Imager], in the steps "open", "read" and
// "commit". What was read is not kept, its size and checksum are.
func (b *Backend) ImportImage(ctx context.Context, n *provision.NewImage, r io.Reader, s *provision.Steps) (provision.Image, error) {
	if err := b.refuse(provision.FeatureImages); err != nil {
		return provision.Image{}, err
	}
	err := b.step(ctx, s, "open", func(m *machine) error {
		if _, taken := m.Images[n.Name]; taken {
			return fmt.Errorf("image %q: %w", n.Name, provision.ErrExists)
		}
		put(&m.Partial, n.Name, true)
		return nil
	})
	if err != nil {
		return provision.Image{}, err
	}
	var size int64
	err = s.Do(ctx, "read", func(context.Context) (err error) {
		size, err = io.Copy(io.Discard, r)
		return err
	})
	if err != nil {
		return provision.Image{}, err
	}
	img := provision.Image{
		Name: n.Name, Format: n.Format, SHA256: n.Sum(), Size: size, Capacity: size, Imported: n.Imported,
	}
	err = b.step(ctx, s, "commit", func(m *machine) error {
		delete(m.Partial, n.Name)
		put(&m.Images, n.Name, img)
		return nil
	})
	return img, err
}

// RemoveImage implements [provision.Imager].
func (b *Backend) RemoveImage(ctx context.Context, name string) error {
	if err := b.refuse(provision.FeatureImages); err != nil {
		return err
	}
	return b.update(ctx, func(m *machine) error {
		delete(m.Images, name)
		delete(m.Partial, name)
		return nil
	})
}

// NeedsImage implements [provision.ImageReleaser].
func (b *Backend) NeedsImage(ctx context.Context, id provision.ID, image string) (bool, error) {
	needs := false
	err := b.view(ctx, func(m *machine) error {
		for _, v := range m.volumesOf(id) {
			needs = needs || m.Volumes[v].Base == image
		}
		for _, s := range m.snapshotsOf(id) {
			needs = needs || m.Snapshots[s].Base == image
		}
		return nil
	})
	return needs, err
}
