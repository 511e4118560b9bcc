//go:build linux

package lxc

import (
	"encoding/json"
	"errors"

	"github.com/guestforge/provision"
)

// definition is all that this package knows of a guest, in the file guest.json of
// its directory. liblxc's configuration and the hook are made from it.
type definition struct {
	ID   provision.ID   `json:"id"`
	Spec provision.Spec `json:"spec"` // without its secrets
	// Native of the Spec, which has no text form there.
	Native Native `json:"native"`
	// Base is the first of the guest's ids on the host, 0 for a privileged one.
	Base uint32   `json:"base"`
	Root RootKind `json:"root"`
	// Room is the size in bytes of a root with a file system of its own that was not
	// given one: that of the file system it is on, so that it is no limit.
	Room int64 `json:"room,omitempty"`
	// Pin is the set of processors that the guest sees; empty: all.
	Pin []int `json:"pin,omitempty"`
	// OwnNetwork: the guest configures its NICs by itself, and liblxc leaves them
	// without addresses: see rootfs.OwnNetwork.
	OwnNetwork bool `json:"ownNetwork,omitempty"`
	// Halt is the signal that asks the first program to shut down; empty:
	// liblxc's own choice.
	Halt string `json:"halt,omitempty"`
}

// maxDefinition bounds what is read as one: labels and addresses are the largest part.
const maxDefinition = 1 << 20

func newDefinition(g *provision.NewGuest) *definition {
	d := &definition{ID: g.ID, Spec: g.Spec.Copy(), Native: *nativeOf(g.Spec)}
	d.Spec.Access, d.Spec.UserData, d.Spec.Native = provision.Access{}, nil, nil
	d.Spec.Labels = nil      // the Record has them
	d.Spec.Autostart = false // Host switches it on when the guest is whole
	d.Root = rootKind(g.Spec)
	d.Halt = d.Native.HaltSignal
	return d
}

// rootKind is what the root of a Spec is made as.
func rootKind(s *provision.Spec) RootKind {
	switch n := nativeOf(s); {
	case n.Root != "":
		return n.Root
	case s.Disks[0].Size != 0 || s.Disks[0].Inodes != 0:
		return RootImage
	}
	return RootOverlay
}

func parseDefinition(data []byte) (*definition, error) {
	d := new(definition)
	if err := json.Unmarshal(data, d); err != nil {
		return nil, err
	}
	if d.ID == "" || d.Spec.Name == "" || len(d.Spec.Disks) == 0 {
		return nil, errors.New("it has no ID, no name or no disk")
	}
	return d, nil
}

func (d *definition) encode() ([]byte, error) {
	data, err := json.MarshalIndent(d, "", "\t")
	return append(data, '\n'), err
}
