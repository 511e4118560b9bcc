package hostnet

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// RemoveDevice removes one of [Leftovers]. Devices that have no name of this package are
// ErrInvalid; one that is not there is no error.
func RemoveDevice(name string) error {
	if !ours.MatchString(name) {
		return fmt.Errorf("%w: %q is no name of a NIC's device", ErrInvalid, name)
	}
	link, err := netlink.LinkByName(name)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove the device %s: %w", name, err)
	}
	return nil
}
