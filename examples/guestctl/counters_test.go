package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestUsageOf(t *testing.T) {
	m := withGuest(t)
	require.Regexp(t, `(?m)^run +none$`, m.ok("usage", "web1"))
	require.Nil(t, fromJSON[[]provision.Status](t, m.ok("-json", "list"))[0].Usage, "it is off")
	m.ok("start", "web1")
	require.Regexp(t, `(?m)^cpu time +[0-9.]+m?s$`, m.ok("usage", "web1"))
	require.Regexp(t, `(?m)^memory on the host +512 MiB$`, m.ok("usage", "web1"))
	u := fromJSON[provision.Usage](t, m.ok("-json", "usage", "web1"))
	require.Equal(t, "1", u.Run)
	listed := fromJSON[[]map[string]any](t, m.ok("-json", "list"))[0]
	require.Equal(t, "1", listed["usage"].(map[string]any)["run"])
	require.Regexp(t, `web1  running .* [0-9.]+m?s +512 MiB`, m.ok("list"))
}

func TestAddresses(t *testing.T) {
	m := withGuest(t)
	all := fromJSON[provision.Addresses](t, m.ok("-json", "addresses", "web1"))
	require.Len(t, all.Failed, 2)
	require.Regexp(t, `(?m)^ +agent +the guest is stopped$`, m.ok("addresses", "web1"))
	m.ok("start", "web1")
	require.NotContains(t, m.ok("addresses", "web1"), "agent")
}
