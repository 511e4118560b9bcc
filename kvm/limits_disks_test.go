package kvm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Limits of disks are those of the Spec's disks, whichever somebody took away.
func TestDiskNumbers(t *testing.T) {
	for _, c := range []struct {
		serials []string
		want    []int
	}{
		{nil, []int{}},
		{[]string{"", ""}, []int{0, 1}},
		{[]string{"root", "disk1", "disk2"}, []int{0, 1, 2}},
		{[]string{"root", "disk2"}, []int{0, 2}},
		{[]string{"disk1", "", "root", "scratch", "disk01", "disk0", "disk", "disk-1", "disk12"}, []int{1, -1, 0, -1, -1, -1, -1, -1, 12}},
	} {
		var list []tunedDisk
		for _, s := range c.serials {
			list = append(list, tunedDisk{Serial: s})
		}
		require.Equal(t, c.want, diskNumbers(list), "%q", c.serials)
	}
	for i := range 20 {
		require.Equal(t, i, serialNumber(serial(i)))
	}

	b := New(nil)
	s := *specs()["plain"]
	s.Disks = []provision.Disk{{Size: provision.GiB, IOPS: 1}, {Size: provision.GiB, IOPS: 2}, {Size: provision.GiB, IOPS: 3}}
	text, err := domainxml.Build(b.domain(&provision.NewGuest{ID: testID, Spec: &s}, testPool, true))
	require.NoError(t, err)
	d, err := domainxml.Parse(text)
	require.NoError(t, err)
	require.NoError(t, d.Apply(domainxml.Remove("devices/disk[serial='disk1']"), domainxml.Add("devices",
		"<disk type='file' device='disk'><source file='/x'/><target dev='vdx'/><iotune><total_iops_sec>9</total_iops_sec></iotune></disk>")))
	tune, err := parseTuned(d.String())
	require.NoError(t, err)
	require.Equal(t, []provision.Limit{
		{Path: "disks[0].iops", Have: "1", Enforcement: provision.Enforced}, {Path: "disks[2].iops", Have: "3", Enforcement: provision.Enforced},
	}, tune.limits(weightsUnknown))
}
