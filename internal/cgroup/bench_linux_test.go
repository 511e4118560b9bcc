package cgroup

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkStats200 reads the counters of 200 groups.
func BenchmarkStats200(b *testing.B) {
	l, err := Detect("/")
	require.NoError(b, err)
	top := fmt.Sprintf("provision-test.%d.bench", os.Getpid())
	var groups []*Group
	for i := range 200 {
		g, err := l.Group(fmt.Sprintf("%s/%d/guest", top, i))
		require.NoError(b, err)
		require.NoError(b, g.Create())
		b.Cleanup(func() { require.NoError(b, g.Remove(context.Background(), "")) })
		groups = append(groups, g)
	}
	for b.Loop() {
		for _, g := range groups {
			if s := g.Stats(); !s.CPU.Known() {
				b.Fatal(s.CPU.Reason)
			}
		}
	}
}
