//go:build !linux

package kvm

import (
	"context"
	"errors"
	"io/fs"
)

func daemonFiles(context.Context, string) (fs.FS, error) {
	return nil, errors.New("this program does not run on Linux")
}

func clockSynced() (bool, error) { return false, errors.ErrUnsupported }

func owner(fs.FileInfo) string { return "" }
