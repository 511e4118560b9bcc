package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/guestforge/provision"
)

func imageImport(ctx context.Context, c *command) (err error) {
	name, path := c.args[0], c.args[1]
	f, o, err := c.openImage(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	o.Format, o.SHA256 = cmp.Or(c.format, o.Format), c.sha256
	if isTerminal(c.stderr) {
		b := &bar{w: c.stderr, name: name}
		defer b.end()
		o.Progress = b.show
	}
	img, err := c.host.ImportImage(ctx, name, f, o)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(img)
	}
	return c.say("image %s: %s, %s, sha256 %s", img.Name, img.Format, human(provision.Bytes(img.Size)), img.SHA256)
}

// openImage opens a file, or a directory, with the format that its name tells of.
func (c *command) openImage(path string) (io.ReadCloser, *provision.ImportOptions, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return c.readTree(path)
	}
	f, err := os.Open(path)
	return f, &provision.ImportOptions{Format: formatOf(path)}, err
}

// formatOf goes by the name alone: the content of an image is not to be
// trusted. What it does not know the library refuses.
func formatOf(path string) string {
	name := strings.ToLower(path)
	for _, f := range []struct{ end, format string }{
		{".qcow2", "qcow2"}, {".raw", "raw"}, {".img", "raw"},
		{".tar", "tar"}, {".tar.gz", "tar.gz"}, {".tgz", "tar.gz"}, {".tar.xz", "tar.xz"}, {".txz", "tar.xz"}, {".tar.zst", "tar.zst"},
	} {
		if strings.HasSuffix(name, f.end) {
			return f.format
		}
	}
	return ""
}

func imageList(ctx context.Context, c *command) error {
	images, err := c.host.Images(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(append([]provision.Image{}, images...))
	}
	rows := [][]string{{"NAME", "FORMAT", "SIZE", "CAPACITY", "IMPORTED", "SHA256"}}
	for _, i := range images {
		rows = append(rows, []string{
			i.Name, i.Format, human(provision.Bytes(i.Size)), orDash(provision.Bytes(i.Capacity), human), i.Imported.Format(time.DateTime), i.SHA256,
		})
	}
	return c.table(rows...)
}

func imageRemove(ctx context.Context, c *command) error {
	images, err := c.host.Images(ctx)
	if err != nil {
		return err
	}
	// Remove it even so: parts of an import that was killed may be there.
	if err := c.host.RemoveImage(ctx, c.args[0]); err != nil {
		return err
	}
	result := "was not there"
	if slices.ContainsFunc(images, func(i provision.Image) bool { return i.Name == c.args[0] }) {
		result = "removed"
	}
	if c.json {
		return c.document(map[string]string{"name": c.args[0], "result": result})
	}
	return c.say("image %s: %s", c.args[0], result)
}
