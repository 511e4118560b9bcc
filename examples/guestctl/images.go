package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/guestforge/provision"
)

func imageImport(ctx context.Context, c *command) (err error) {
	name, path := c.args[0], c.args[1]
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	o := &provision.ImportOptions{Format: c.format, SHA256: c.sha256}
	if o.Format == "" {
		o.Format = formatOf(path)
	}
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

// formatOf goes by the name alone: the content of an image is not to be
// trusted. What it does not know the library refuses.
func formatOf(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".qcow2":
		return "qcow2"
	case ".raw", ".img":
		return "raw"
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
			i.Name, i.Format, human(provision.Bytes(i.Size)), human(provision.Bytes(i.Capacity)), i.Imported.Format(time.DateTime), i.SHA256,
		})
	}
	return c.table(rows...)
}

func imageRemove(ctx context.Context, c *command) error {
	if err := c.host.RemoveImage(ctx, c.args[0]); err != nil {
		return err
	}
	if c.json {
		return c.document(map[string]string{"name": c.args[0], "result": "removed"})
	}
	return c.say("image %s: removed", c.args[0])
}
