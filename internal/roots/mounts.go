//go:build linux

package roots

import (
	"os"
	"slices"

	"github.com/guestforge/provision/internal/mountinfo"
)

// mounts lists what this thread's mount namespace has, in the order in which it
// was mounted.
func mounts() ([]mountinfo.Mount, error) {
	// Not /proc/self: that is the main thread, which an embedding program may
	// have moved into another namespace.
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	return mountinfo.Parse(text)
}

// mountAt returns what is mounted at a path, the uppermost of several, or nil.
func mountAt(path string) (*mountinfo.Mount, error) {
	list, err := mounts()
	if err != nil {
		return nil, err
	}
	for _, m := range slices.Backward(list) {
		if m.Point == path {
			return &m, nil
		}
	}
	return nil, nil
}
