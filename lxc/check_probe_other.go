//go:build !linux

package lxc

import (
	"context"
	"fmt"
	"io/fs"
)

// localProber tries nothing: guests of this backend run on Linux alone.
type localProber struct{}

var errNotLinux = fmt.Errorf("%w: this program does not run on Linux", errUntried)

func (localProber) overlay(string) error                                      { return errNotLinux }
func (localProber) idmap(context.Context, string, idRange) error              { return errNotLinux }
func (localProber) idmappedOverlay(context.Context, string, idRange) error    { return errNotLinux }
func (localProber) reflink(string) error                                      { return errNotLinux }
func (localProber) projectQuota(string) (bool, error)                         { return false, errNotLinux }
func (localProber) space(string) (space, error)                               { return space{}, errNotLinux }
func (localProber) link(context.Context, string, string) error                { return errNotLinux }
func (localProber) synced() (bool, error)                                     { return false, errNotLinux }
func (localProber) owner(fs.FileInfo) (uint32, error)                         { return 0, errNotLinux }
func (localProber) output(context.Context, string, ...string) (string, error) { return "", errNotLinux }
