//go:build !linux

package lock

import (
	"errors"
	"os"
)

const noFollow = 0

// tryLock fails: there is no hypervisor of ours on this system to share.
func tryLock(*os.File, int64, Mode) (bool, error) {
	return false, errors.ErrUnsupported
}
