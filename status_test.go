package provision_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/golden"
)

// The JSON form of Status is read by other programs: amounts are plain numbers.
func TestStatusJSON(t *testing.T) {
	st := provision.Status{
		Name: "web1", ID: "id", Key: "order-1", State: provision.StatePaused, Reason: "I/O error", Managed: true, Suspended: []string{"abuse"},
		Labels: map[string]string{"a": "b"}, Image: "debian-12", Autostart: true, CPUs: 2, Memory: 2 * provision.GiB,
		Disks:     []provision.DiskStatus{{Target: "vda", Source: "pool/web1", Size: provision.GiB}},
		NICs:      []provision.NICStatus{{Bridge: "br0", VLAN: 42, MAC: provision.MAC{2, 0, 0, 0, 0, 1}, Device: "vnet0"}},
		Addresses: prefixes("192.0.2.10/24"), Created: noon,
		Limits: []provision.Limit{{Path: "cpu.limit", Want: "1.5", Have: "1.5", Enforcement: provision.Enforced}, {Path: "disks[0].iops", Enforcement: provision.NotEnforced, Reason: "no"}},
	}
	text, err := json.MarshalIndent([]provision.Status{st, {Name: "other", State: provision.StateStopped}}, "", "  ")
	require.NoError(t, err)
	golden.Check(t, "status.json", string(text)+"\n")
	var back []provision.Status
	require.NoError(t, json.Unmarshal(text, &back))
	require.Empty(t, cmp.Diff(st, back[0], sameSpec))
}

func TestStatesThatHoldMemory(t *testing.T) {
	live := []provision.State{provision.StateStarting, provision.StateRunning, provision.StatePaused, provision.StateStopping}
	off := []provision.State{provision.StateAbsent, provision.StateIncomplete, provision.StateStopped, provision.StateCrashed, provision.StateUnknown}
	for _, s := range live {
		require.True(t, s.Live(), s)
	}
	for _, s := range off {
		require.False(t, s.Live(), s)
	}
}
