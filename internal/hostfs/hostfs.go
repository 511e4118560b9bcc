// Package hostfs reads files that tell of a machine, from its own tree or from one that
// a test has made.
package hostfs

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"strings"
)

// maxFile bounds what is read of a file: module lists and kernel configurations
// have some hundred KiB.
const maxFile = 4 << 20

// Read returns what is in a file, and nothing where it is not there or cannot be read.
func Read(files fs.FS, path string) []byte {
	f, err := files.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() // only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil
	}
	return text
}

// Unzipped returns text as it is, or what is in it if that is gzip; nothing where it is
// damaged.
func Unzipped(text []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return text
	}
	text, err = io.ReadAll(io.LimitReader(z, maxFile))
	if err != nil {
		return nil
	}
	return text
}

// Text is Read without white space around it.
func Text(files fs.FS, path string) string { return strings.TrimSpace(string(Read(files, path))) }
