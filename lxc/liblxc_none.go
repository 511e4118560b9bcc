//go:build linux && !cgo

package lxc

import (
	"fmt"

	"github.com/guestforge/provision"
)

func newLibrary() (library, error) {
	return nil, fmt.Errorf("%w: this program was built without cgo, and liblxc is a C library; build it with CGO_ENABLED=1, a C compiler and the package lxc-dev",
		provision.ErrUnavailable)
}
