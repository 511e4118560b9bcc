package lxc

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
)

// groups is where the control groups of all guests of this package are.
const groups = "provision.lxc"

// GroupsOf returns where the control groups of the guests of one LXCPath are: a path
// below the root of each hierarchy, with a directory for each guest that is on, named
// by its ID. The limits are on "guest" in that.
func GroupsOf(lxcPath string) string {
	sum := sha256.Sum256([]byte(lxcPath))
	return path.Join(groups, hex.EncodeToString(sum[:4]))
}
