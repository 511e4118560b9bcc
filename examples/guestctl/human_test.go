package main

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestHuman(t *testing.T) {
	for b, want := range map[provision.Bytes]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1100: "1.07 KiB", 165528 * provision.KiB: "162 MiB", 512 * provision.MiB: "512 MiB",
		1536 * provision.MiB: "1.5 GiB", provision.GiB - 1: "1 GiB", 99*provision.GiB + 999*provision.MiB: "100 GiB", 2 * provision.TiB: "2 TiB",
		math.MaxUint64: "16384 PiB",
	} {
		require.Equal(t, want, human(b))
	}
}

func TestUnknownNumbers(t *testing.T) {
	require.Equal(t, "-", orDash(provision.Bytes(0), human))
	require.Equal(t, "1 KiB", orDash(provision.Bytes(1024), human))
	require.Equal(t, "2", orDash(2, strconv.Itoa))
}

// A row without its last cells moves no column of the others.
func TestTable(t *testing.T) {
	var out strings.Builder
	c := &command{stdout: &out}
	require.NoError(t, c.table([]string{"A", "B", "C"}, []string{"x", "", ""}, []string{"y", "long", "z"}, []string{"w", "", ""}, []string{"v", "b", "c"}))
	require.Equal(t, "A  B     C\nx\ny  long  z\nw\nv  b     c\n", out.String())
}
