//go:build !linux

package cgroup

import "errors"

// Volumes is for Linux.
func Volumes(string) ([]Device, error) { return nil, errors.ErrUnsupported }
