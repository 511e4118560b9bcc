package kvm

import (
	"fmt"
	"path"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// reachable fails for a volume that no pool has while it may stand in one that is not
// active: to take it for deleted would leave a customer's disk behind.
func reachable(l *libvirt.Libvirt, file string) error {
	pools, _, err := l.ConnectListAllStoragePools(1, libvirt.ConnectListStoragePoolsInactive)
	if err != nil {
		return err
	}
	for _, p := range pools {
		text, err := l.StoragePoolGetXMLDesc(p, 0)
		if hasCode(err, libvirt.ErrNoStoragePool) {
			continue
		}
		if err != nil {
			return err
		}
		var doc libvirtxml.StoragePool
		if err := doc.Unmarshal(text); err != nil {
			return fmt.Errorf("storage pool %s: %w", p.Name, err)
		}
		if doc.Target != nil && doc.Target.Path == path.Dir(file) {
			return fmt.Errorf("%w: its volume %s is in the storage pool %q, which is not active; start that with virsh pool-start",
				provision.ErrState, path.Base(file), p.Name)
		}
	}
	return nil
}
