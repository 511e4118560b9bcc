package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/guestforge/provision/internal/ctxerr"
	"github.com/guestforge/provision/internal/lock"
)

// Image is what guests are made from. Its name means the same on every backend.
type Image struct {
	Name     string    `json:"name"`
	Format   string    `json:"format"` // "qcow2", "raw", "tar.gz", …
	SHA256   string    `json:"sha256"` // of what was imported, in hex
	Size     int64     `json:"size"`   // of what was imported, in bytes
	Capacity int64     `json:"capacity,omitempty"`
	Imported time.Time `json:"imported,omitzero"`
}

// ImportOptions of [Host.ImportImage].
type ImportOptions struct {
	// Format of the image, as the backend names it: "qcow2" or "raw" for disks;
	// "tar", "tar.gz", "tar.xz" or "tar.zst" for root file systems of containers.
	// Required: it is never guessed, because a guest could write the header of
	// another format into its own disk.
	Format string
	// SHA256 that the image must have, in hex. Default: any.
	SHA256 string
	// Size in bytes. Default: found by seeking, where the reader can.
	Size int64
	// Progress is called as the work goes on, on the goroutine of the call.
	Progress func(Progress)
}

// Images returns all images of the store, ordered by name.
func (h *Host) Images(ctx context.Context) ([]Image, error) {
	im, err := need[Imager](h, FeatureImages)
	if err != nil {
		return nil, h.wrap("list images", "", err)
	}
	var list []Image
	err = h.call(ctx, Call{Op: "images"}, func(ctx context.Context) (err error) {
		list, err = im.Images(ctx)
		return err
	})
	slices.SortFunc(list, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	return list, h.wrap("list images", "", err)
}

// ImportImage reads an image into the store. A name that is taken is
// [ErrExists], unless the content is the same, which is success. When it fails,
// or what was read does not have the size or checksum that was promised, nothing
// is left; what a killed import left is no image, and is replaced. The context is
// looked at between reads: a Read of r that blocks is not interrupted.
func (h *Host) ImportImage(ctx context.Context, name string, r io.Reader, opts *ImportOptions) (Image, error) {
	if opts == nil {
		opts = new(ImportOptions)
	}
	img, err := h.importImage(ctx, name, r, *opts)
	return img, h.wrap("import image", name, err)
}

func (h *Host) importImage(ctx context.Context, name string, r io.Reader, opts ImportOptions) (Image, error) {
	im, err := need[Imager](h, FeatureImages)
	if err != nil {
		return Image{}, err
	}
	if opts.Size == 0 {
		opts.Size, err = sizeOf(r)
	}
	if err := errors.Join(err, checkImport(name, &opts)); err != nil {
		return Image{}, err
	}
	unlock, err := h.lock(ctx, lockImage, name, lock.Exclusive)
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	c := Call{Op: "import", Guest: name}
	steps := h.steps(c, opts.Progress)
	body := &verified{r: r, ctx: ctx, sum: sha256.New(), size: opts.Size, want: opts.SHA256, report: steps.Progress}
	if have, err := h.image(ctx, im, name); err == nil {
		return sameImage(have, body)
	} else if !errors.Is(err, ErrNotFound) {
		return Image{}, err
	}
	// An image whose manifest was lost may still have guests.
	if err := h.unused(ctx, name); err != nil {
		return Image{}, err
	}
	var img Image
	err = h.call(ctx, c, func(ctx context.Context) (err error) {
		img, err = im.ImportImage(ctx, &NewImage{
			Name: name, Format: opts.Format, Size: opts.Size, Sum: body.hex, Imported: h.opts.Clock.Now().UTC().Truncate(time.Second),
		}, body, steps)
		return err
	})
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.opts.UndoTimeout)
		defer cancel()
		return Image{}, errors.Join(err, h.removeImage(undo, im, "undo", name))
	}
	return img, nil
}

// RemoveImage removes an image. One that guests were made from is [ErrState],
// because their disks may stand on it, unless the backend knows that they are full
// copies; one that is not there is success.
func (h *Host) RemoveImage(ctx context.Context, name string) error {
	return h.wrap("remove image", name, h.dropImage(ctx, name))
}

func (h *Host) dropImage(ctx context.Context, name string) error {
	im, err := need[Imager](h, FeatureImages)
	if err != nil {
		return err
	}
	f := &fields{}
	if f.image("image", name); len(f.errs) > 0 {
		return errors.Join(f.errs...)
	}
	unlock, err := h.lock(ctx, lockImage, name, lock.Exclusive)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.unused(ctx, name); err != nil {
		return err
	}
	return h.removeImage(ctx, im, "remove image", name)
}

// unused refuses an image that a guest may stand on. Records that are not ours
// to use (a copy, a newer version) count, and so do those that say nothing.
func (h *Host) unused(ctx context.Context, name string) error {
	all, err := h.found(ctx)
	if err != nil {
		return err
	}
	var users []string
	for _, f := range all {
		if f.Record == nil {
			continue
		}
		needs, err := h.needsImage(ctx, &f, name)
		if err != nil {
			return err
		}
		if needs {
			users = append(users, f.Status.Name)
		}
	}
	if len(users) > 0 {
		return fmt.Errorf("%w: guests were made from it: %s", ErrState, clip(strings.Join(users, ", ")))
	}
	return nil
}

func (h *Host) needsImage(ctx context.Context, f *Found, name string) (bool, error) {
	var r struct {
		Phase phase `json:"phase"`
		Spec  *struct {
			Image string `json:"image"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(f.Record, &r); err != nil || r.Spec == nil {
		return true, nil
	}
	if r.Spec.Image != name {
		return false, nil
	}
	rel, ok := h.backend.(ImageReleaser)
	if !ok || r.Phase != complete {
		return true, nil
	}
	needs := true
	err := h.call(ctx, Call{Op: "needs image", Guest: f.Status.Name, ID: f.Status.ID}, func(ctx context.Context) (err error) {
		needs, err = rel.NeedsImage(ctx, f.Status.ID, name)
		return err
	})
	return needs, err
}

func (h *Host) removeImage(ctx context.Context, im Imager, op, name string) error {
	err := h.call(ctx, Call{Op: op, Guest: name}, func(ctx context.Context) error { return im.RemoveImage(ctx, name) })
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (h *Host) image(ctx context.Context, im Imager, name string) (Image, error) {
	var list []Image
	err := h.call(ctx, Call{Op: "images"}, func(ctx context.Context) (err error) {
		list, err = im.Images(ctx)
		return err
	})
	if err != nil {
		return Image{}, err
	}
	for _, img := range list {
		if img.Name == name {
			return img, nil
		}
	}
	return Image{}, fmt.Errorf("image %q: %w", name, ErrNotFound)
}

func checkImport(name string, o *ImportOptions) error {
	f := &fields{}
	f.image("image", name)
	if o.Format == "" || !imageRE.MatchString(o.Format) {
		f.add("format", o.Format, "must be stated: qcow2 or raw for the disk of a virtual machine, tar, tar.gz, tar.xz or tar.zst for the root file system of a container; it is never guessed")
	}
	o.SHA256 = strings.ToLower(o.SHA256)
	if o.SHA256 != "" && !sumRE.MatchString(o.SHA256) {
		f.add("sha256", o.SHA256, "is not a SHA-256 of 64 hexadecimal digits")
	}
	if o.Size <= 0 {
		f.add("size", fmt.Sprint(o.Size), "is required (in bytes, more than 0) where the reader cannot seek")
	}
	return errors.Join(f.errs...)
}

// sizeOf returns how much a reader has left, if it can seek, and 0 if not.
func sizeOf(r io.Reader) (int64, error) {
	s, ok := r.(io.Seeker)
	if !ok {
		return 0, nil
	}
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, nil // a pipe has the method but cannot
	}
	end, err := s.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = s.Seek(at, io.SeekStart)
	}
	return end - at, err
}

// sameImage reads the content and compares it with that of an image.
func sameImage(have Image, body *verified) (Image, error) {
	if have.Size != body.size {
		return Image{}, fmt.Errorf("%w with other content", ErrExists)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return Image{}, err
	}
	if body.hex() != have.SHA256 {
		return Image{}, fmt.Errorf("%w with other content", ErrExists)
	}
	return have, nil
}

// verified ends with io.EOF only if what was read has the size and the checksum
// that were promised.
type verified struct {
	r      io.Reader
	ctx    context.Context // of the one call that reads
	sum    hash.Hash
	done   int64
	size   int64
	want   string
	report func(done, total int64)
}

func (v *verified) hex() string { return hex.EncodeToString(v.sum.Sum(nil)) }

func (v *verified) Read(p []byte) (int, error) {
	if err := ctxerr.Of(v.ctx); err != nil {
		return 0, err
	}
	n, err := v.r.Read(p)
	v.sum.Write(p[:n])
	v.done += int64(n)
	if v.done > v.size {
		return 0, &FieldError{Path: "size", Problem: fmt.Sprintf("the image is longer than the %d bytes that were stated", v.size)}
	}
	if v.report != nil && n > 0 {
		v.report(v.done, v.size)
	}
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if err := ctxerr.Of(v.ctx); err != nil {
		return n, err
	}
	if v.done < v.size {
		return n, &FieldError{Path: "size", Problem: fmt.Sprintf("the image ends after %d of %d bytes", v.done, v.size)}
	}
	if have := v.hex(); v.want != "" && have != v.want {
		return n, &FieldError{Path: "sha256", Value: have, Problem: "is the checksum of what was read, not the one that was stated"}
	}
	return n, io.EOF
}
