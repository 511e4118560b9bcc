//go:build !linux

package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// Archive needs Linux.
func Archive(context.Context, string, io.Reader, Format, Options) (Report, error) {
	return Report{}, fmt.Errorf("unpack on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
