package provision_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestParseBytes(t *testing.T) {
	for _, c := range []struct {
		text string
		want provision.Bytes
		form string // as it is printed
	}{
		{"0", 0, "0"},
		{"1", 1, "1"},
		{"1B", 1, "1"},
		{"1023", 1023, "1023"},
		{"4096", 4096, "4KiB"},
		{"1KiB", 1024, "1KiB"},
		{"1 KiB", 1024, "1KiB"},
		{"1kB", 1000, "1000"},
		{"512MiB", 512 * provision.MiB, "512MiB"},
		{"0.5GiB", 512 * provision.MiB, "512MiB"},
		{"1.5TiB", 1536 * provision.GiB, "1536GiB"},
		{"2GiB", 2 * provision.GiB, "2GiB"},
		{"2048MiB", 2 * provision.GiB, "2GiB"},
		{"1GB", 1e9, "1000000000"},
		{"1.024kB", 1024, "1KiB"},
		{"3PB", 3e15, "2929687500000KiB"},
		{"16383PiB", 16383 * provision.PiB, "16383PiB"},
		{"18446744073709551615", math.MaxUint64, "18446744073709551615"},
	} {
		t.Run(c.text, func(t *testing.T) {
			b, err := provision.ParseBytes(c.text)
			require.NoError(t, err)
			require.Equal(t, c.want, b)
			again, err := provision.ParseBytes(b.String())
			require.NoError(t, err)
			require.Equal(t, b, again)
			require.Equal(t, c.form, b.String())
		})
	}
}

// Decimal fractions are exact, though few of them are in floating point.
func TestParseBytesFractions(t *testing.T) {
	for i := range provision.Bytes(100_00) {
		text := fmt.Sprintf("%d.%02dGB", i/100, i%100)
		b, err := provision.ParseBytes(text)
		require.NoError(t, err)
		require.Equal(t, i*10_000_000, b, text)
	}
	b, err := provision.ParseBytes("9007199254740993.0B")
	require.NoError(t, err)
	require.Equal(t, provision.Bytes(9007199254740993), b)
}

// Texts that tools understand differently, or that nobody means, are refused.
func TestParseBytesRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "2G", "2g", "2K", "2M", "2Gi", "2gib", "2GIB", "2Gb", "2Gbit", "2KB", "2mb", "GiB", ".GiB", ".", "1..5GiB", "1.5.1GiB",
		"-1", "-1GiB", "+1", " 1GiB", "1GiB ", "1GiB\n", "1\tGiB", "1e3", "1e3GiB", "0x10", "1_000", "1,000", "1,5GiB", "2 G iB",
		"1.5", "1.0000001KiB", "0.3B", "18446744073709551616", "16384PiB", "99999999999999999999GiB", "99999999.5TiB", "NaN", "Inf", "∞",
		"１GiB", "1ＧiB", "٣GiB", "1GiB\x00", "\xff", "null", "true", "10%",
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			b, err := provision.ParseBytes(text)
			require.ErrorContains(t, err, "write bytes as 2GiB")
			require.Zero(t, b)
			require.Error(t, new(provision.Bytes).UnmarshalText([]byte(text)))
		})
	}
}

// The text says what is wrong, and not that it is the unit.
func TestParseSaysWhat(t *testing.T) {
	for text, problem := range map[string]string{
		"-1GiB": "is negative", "-1": "is negative", "fast": "does not begin with a number", "": "does not begin with a number",
		"-": "does not begin with a number", "2G": "has no unit that is known",
	} {
		_, err := provision.ParseBytes(text)
		require.ErrorContains(t, err, fmt.Sprintf("%q %s; write bytes as", text, problem))
		_, err = provision.ParseBitRate(text)
		require.ErrorContains(t, err, fmt.Sprintf("%q %s; write rates as", text, problem))
	}
}

func TestParseBitRate(t *testing.T) {
	for _, c := range []struct {
		text string
		want provision.BitRate
		form string
	}{
		{"0", 0, "0"},
		{"64000", 64000, "64Kbit"},
		{"1bit", 1, "1"},
		{"1kbit", 1000, "1Kbit"},
		{"1Kbit", 1000, "1Kbit"},
		{"100Mbit", 100 * provision.Mbit, "100Mbit"},
		{"2.5Gbit", 2500 * provision.Mbit, "2500Mbit"},
		{"1000Mbit", provision.Gbit, "1Gbit"},
		{"1Tbit", provision.Tbit, "1Tbit"},
		{"1001", 1001, "1001"},
	} {
		t.Run(c.text, func(t *testing.T) {
			r, err := provision.ParseBitRate(c.text)
			require.NoError(t, err)
			require.Equal(t, c.want, r)
			require.Equal(t, c.form, r.String())
		})
	}
	for _, text := range []string{"", "100M", "100MB", "100Mb", "100mbit", "100Mbps", "100Mbit/s", "100Mibit", "12MB/s", "-1", "1.5", "18446745Tbit"} {
		t.Run(fmt.Sprintf("bad %q", text), func(t *testing.T) {
			r, err := provision.ParseBitRate(text)
			require.ErrorContains(t, err, "write rates as 100Mbit")
			require.Zero(t, r)
		})
	}
}

// In JSON an amount is its text or a plain number.
func TestSizeJSON(t *testing.T) {
	var v struct {
		B []provision.Bytes
		R []provision.BitRate
	}
	require.NoError(t, json.Unmarshal([]byte(`{"B": ["2GiB", 4096, "4096"], "R": ["1Gbit", 64000]}`), &v))
	require.Equal(t, []provision.Bytes{2 * provision.GiB, 4096, 4096}, v.B)
	require.Equal(t, []provision.BitRate{provision.Gbit, 64000}, v.R)
	text, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, `{"B": ["2GiB", "4KiB", "4KiB"], "R": ["1Gbit", "64Kbit"]}`, string(text))
	for _, bad := range []string{`{"B": [1.5]}`, `{"B": [-1]}`, `{"B": [1e3]}`, `{"B": [true]}`, `{"B": [{}]}`, `{"B": ["2G"]}`, `{"R": ["1MB"]}`, `{"R": [[]]}`} {
		require.Error(t, json.Unmarshal([]byte(bad), &v), bad)
	}
}

func FuzzBytes(f *testing.F) {
	for _, s := range []string{"0", "2GiB", "1.5TiB", "512MB", "18446744073709551615", "0.0000000000000001PiB", "9007199254740993.0", "1e9", "2G"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := provision.ParseBytes(s)
		if err != nil {
			require.Zero(t, b)
			return
		}
		again, err := provision.ParseBytes(b.String())
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}

func FuzzBitRate(f *testing.F) {
	for _, s := range []string{"0", "100Mbit", "2.5Gbit", "64000", "18446744073709551615bit", "1kbit", "1mbit"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := provision.ParseBitRate(s)
		if err != nil {
			require.Zero(t, r)
			return
		}
		again, err := provision.ParseBitRate(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
