package cgroup

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseV1(t *testing.T) {
	t.Parallel()
	text := "8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n8:0 Total 3\n7:0 Read 10\n7:0 Write 20\nTotal 33\n"
	r, w, err := parseTransfers(text, nil)
	require.NoError(t, err)
	require.Equal(t, [2]uint64{11, 22}, [2]uint64{r, w})
	r, w, err = parseTransfers(text, []Device{{8, 0}})
	require.NoError(t, err)
	require.Equal(t, [2]uint64{1, 2}, [2]uint64{r, w})
	n, err := parseLimit("9223372036854771712")
	require.NoError(t, err)
	require.Zero(t, n, "no limit")
	for _, s := range []State{Thawed, Freezing, Frozen} {
		require.NotEmpty(t, s.String())
	}
	_, err = parseState("ICE")
	require.Error(t, err)
}

// fuzz feeds a parser, which may refuse but not panic, nor give more than the text has.
func fuzz[T any](f *testing.F, seed string, parse func(string) ([]T, error)) {
	f.Add(seed)
	f.Fuzz(func(t *testing.T, text string) {
		if list, err := parse(text); err == nil {
			require.LessOrEqual(t, len(list), len(text)+1)
		}
	})
}

func FuzzProcs(f *testing.F)    { fuzz(f, "1\n2\n", parseProcs) }
func FuzzThrottle(f *testing.F) { fuzz(f, "8:0 1\n", parseThrottle) }
func FuzzIOMax(f *testing.F)    { fuzz(f, "8:0 rbps=max wbps=1\n", parseIOMax) }

// single makes a list of what a parser of one value gives.
func single[T any](parse func(string) (T, error)) func(string) ([]T, error) {
	return func(s string) ([]T, error) {
		v, err := parse(s)
		return []T{v}, err
	}
}

func FuzzBandwidth(f *testing.F) { fuzz(f, "max 100000", single(parseBandwidth)) }
func FuzzShares(f *testing.F)    { fuzz(f, "1024", single(parseShares)) }
func FuzzSwaps(f *testing.F) {
	fuzz(f, swapTable, single(func(s string) (uint64, error) { return parseSwaps([]byte(s)) }))
}
func FuzzFields(f *testing.F) {
	fuzz(f, "a 1\nb 2\n", single(func(s string) (uint64, error) { return field(s, "a") }))
}
func FuzzTransfers(f *testing.F) {
	fuzz(f, "8:0 Read 1\nTotal 1\n", single(func(s string) (uint64, error) { r, _, err := parseTransfers(s, nil); return r, err }))
}
func FuzzIOStat(f *testing.F) {
	fuzz(f, "8:0 rbytes=1 wios=2\n", single(func(s string) ([4]uint64, error) { return parseIOStat(s, nil) }))
}

// A set that is read can be written and read again.
func FuzzSet(f *testing.F) {
	f.Add("0-3,8")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := parseSet(text)
		if err != nil {
			return
		}
		again, err := parseSet(FormatSet(set))
		require.NoError(t, err)
		slices.Sort(set)
		require.Equal(t, slices.Compact(set), again)
	})
}
