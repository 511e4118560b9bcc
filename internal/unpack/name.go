package unpack

import (
	"fmt"
	"path"
	"strings"
)

// clean returns a name of an archive relative to the root of the tree, without
// empty and "." components; "." is the root itself. What is left has no ".."
// and fits the kernel.
func clean(name string) (string, error) {
	if len(name) > maxPath {
		return "", fmt.Errorf("%w: it has more than %d bytes", ErrName, maxPath)
	}
	if name == "" || strings.Contains(name, "\x00") {
		return "", fmt.Errorf("%w: it is empty or has a NUL in it", ErrName)
	}
	parts := make([]string, 0, 16)
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", fmt.Errorf(`%w: ".." could lead out of the tree`, ErrName)
		case len(part) > maxName:
			return "", fmt.Errorf("%w: a component has more than %d bytes", ErrName, maxName)
		case strings.HasPrefix(part, ".wh."):
			return "", fmt.Errorf("a name that starts with .wh. is a whiteout: %w", ErrLayer)
		}
		parts = append(parts, part)
	}
	if len(parts) > maxDepth {
		return "", fmt.Errorf("%w: it is more than %d directories deep", ErrName, maxDepth)
	}
	if len(parts) == 0 {
		return ".", nil
	}
	return strings.Join(parts, "/"), nil
}

// split returns the directory ("." for the root) and the last component of a
// clean name.
func split(name string) (dir, base string) { return path.Dir(name), path.Base(name) }
