//go:build linux

package testrig

import (
	"context"
	"fmt"
	"strconv"
)

// ovsScript starts Open vSwitch, with its datapath in user space, where libvirtd
// looks for it. Its programs end with the namespaces.
const ovsScript = `set -eu
mkdir -p "$1/ovs" /run/openvswitch
mount --bind "$1/ovs" /run/openvswitch
ovsdb-tool create "$1/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server "$1/ovs/conf.db" --remote=punix:/run/openvswitch/db.sock --pidfile=/run/openvswitch/ovsdb-server.pid \
	--unixctl=/run/openvswitch/db.ctl --log-file="$1/log/ovsdb-server.log" --no-chdir --detach
ovs-vsctl --no-wait init
ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile=/run/openvswitch/ovs-vswitchd.pid \
	--unixctl=/run/openvswitch/vs.ctl --log-file="$1/log/ovs-vswitchd.log" --no-chdir --detach
ovs-vsctl add-br "$2" -- set bridge "$2" datapath_type=netdev
ip link set "$2" up
`

// AddOpenVSwitch starts Open vSwitch in the rig, once, with one bridge. l.Inside
// runs ovs-vsctl.
func (l *Libvirt) AddOpenVSwitch(ctx context.Context, bridge string) error {
	if err := check(ovsTools, true); err != nil {
		return err
	}
	_, err := run(ctx, "nsenter", "-t", strconv.Itoa(l.PID), "-n", "-m", "-p", "--", "sh", "-c", ovsScript, "sh", l.Dir, bridge)
	if err != nil {
		return fmt.Errorf("starting Open vSwitch: %w", err)
	}
	return nil
}
