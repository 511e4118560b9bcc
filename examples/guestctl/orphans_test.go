package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

func TestOrphans(t *testing.T) {
	m := withGuest(t)
	require.Equal(t, "KIND  NAME  SIZE  MODIFIED  EVIDENCE\n", m.ok("orphans"))
	require.Equal(t, "[]\n", m.ok("orphans", "-json"))
	id := string(m.status("web1").ID)
	sim := provisiontest.NewBackend(&provisiontest.BackendOptions{File: filepath.Join(m.dir, "state.json")})
	require.NoError(t, sim.Forget("web1"))

	seed, disk := id+"-seed", id+"-disk 0"
	young := m.ok("orphans")
	require.Contains(t, young, seed)
	require.NotContains(t, young, disk, "it is not ten minutes old")
	require.Contains(t, young, "\n1 younger than 10m0s not shown; -age 0 shows all\n")
	list := fromJSON[[]provision.Orphan](t, m.ok("-json", "orphans", "-age", "1ns"))
	require.Len(t, list, 2)
	require.Equal(t, provision.OrphanSeed, list[0].Kind)
	require.Equal(t, disk, list[1].Name)
	require.NotEmpty(t, list[1].Evidence)
	require.Len(t, fromJSON[[]provision.Orphan](t, m.ok("-json", "orphans", "-age", "1ns", disk)), 1)

	require.Len(t, fromJSON[[]provision.Orphan](t, m.ok("-json", "orphans", "-age", "0")), 2, "0 is none")
	r := m.run("orphans", "-remove", "nobody")
	require.Equal(t, exitNotFound, r.code)
	r = m.run("orphans", "-remove", disk)
	require.Equal(t, exitTaken, r.code)
	require.Regexp(t, `was written to \d+s ago, less than -age 10m0s`, r.stderr)
	require.Equal(t, exitUsage, m.run("orphans", "-age", "-1s").code)
	require.Contains(t, m.ok("orphans", "-remove", seed), "REMOVED BECAUSE")
	require.Len(t, fromJSON[[]provision.Orphan](t, m.ok("-json", "orphans", "-age", "1ns", "-remove", "-all")), 1)
	require.Equal(t, "[]\n", m.ok("orphans", "-age", "1ns", "-json"))
	left, err := sim.Leftovers()
	require.NoError(t, err)
	require.Empty(t, left)
}
