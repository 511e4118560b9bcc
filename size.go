package provision

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bytes is an amount of memory or disk space in bytes. Its text form, the one
// used in YAML and JSON, is a number with a unit, "2GiB"; a number without a
// unit is bytes.
type Bytes uint64

// Units of [Bytes]: powers of 1024, as IEC 80000-13 names them.
const (
	KiB Bytes = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
	PiB
)

// BitRate is a network rate in bits per second. Its text form is "100Mbit":
// the units are powers of 1000, as everywhere in networking.
type BitRate uint64

// Units of [BitRate].
const (
	Kbit BitRate = 1000
	Mbit         = 1000 * Kbit
	Gbit         = 1000 * Mbit
	Tbit         = 1000 * Gbit
)

type unit struct {
	name string
	size uint64
}

// Largest first: printing takes the first unit that divides the amount.
var (
	binaryUnits  = []unit{{"PiB", uint64(PiB)}, {"TiB", uint64(TiB)}, {"GiB", uint64(GiB)}, {"MiB", uint64(MiB)}, {"KiB", uint64(KiB)}}
	decimalUnits = []unit{{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}, {"", 1}}
	bitUnits     = []unit{{"Tbit", uint64(Tbit)}, {"Gbit", uint64(Gbit)}, {"Mbit", uint64(Mbit)}, {"Kbit", uint64(Kbit)}, {"kbit", uint64(Kbit)}, {"bit", 1}, {"", 1}}
)

// ParseBytes reads the text form of an amount: "2GiB", "1.5TiB", "512MB" or
// "4096". Binary units (KiB to PiB) are powers of 1024, decimal ones (kB to PB)
// of 1000. Bare letters ("2G") are refused, because tools disagree on them.
func ParseBytes(s string) (Bytes, error) {
	n, err := parseUnits(s, append(binaryUnits[:len(binaryUnits):len(binaryUnits)], decimalUnits...))
	if err != nil {
		return 0, fmt.Errorf("%w; write bytes as 2GiB, 512MiB or 4096", err)
	}
	return Bytes(n), nil
}

// ParseBitRate reads the text form of a rate: "100Mbit", "1Gbit" or "64000".
func ParseBitRate(s string) (BitRate, error) {
	n, err := parseUnits(s, bitUnits)
	if err != nil {
		return 0, fmt.Errorf("%w; write rates as 100Mbit, 1Gbit or 64000", err)
	}
	return BitRate(n), nil
}

func parseUnits(s string, units []unit) (uint64, error) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	switch {
	case i == 0 && len(s) > 1 && s[0] == '-' && s[1] >= '0' && s[1] <= '9':
		return 0, fmt.Errorf("%q is negative", clip(s))
	case i == 0:
		return 0, fmt.Errorf("%q does not begin with a number", clip(s))
	}
	number, name := s[:i], strings.TrimLeft(s[i:], " ")
	for _, u := range units {
		if u.name != name {
			continue
		}
		return scale(number, u.size)
	}
	return 0, fmt.Errorf("%q has no unit that is known", clip(s))
}

func scale(number string, size uint64) (uint64, error) {
	if !strings.Contains(number, ".") {
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil || n > math.MaxUint64/size {
			return 0, fmt.Errorf("%q is not a number that fits in 64 bits", clip(number))
		}
		return n * size, nil
	}
	// Exactly: 1.07GB is a whole number, 1.07 * 1e9 in floating point is not.
	r, ok := new(big.Rat).SetString(number)
	if !ok || len(number) > 40 || !r.Mul(r, new(big.Rat).SetUint64(size)).IsInt() || !r.Num().IsUint64() {
		return 0, fmt.Errorf("%q is not a whole number of units", clip(number))
	}
	return r.Num().Uint64(), nil
}

func formatUnits(n uint64, units []unit) string {
	for _, u := range units {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatUint(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatUint(n, 10)
}

// String returns the amount in the largest binary unit that divides it: the
// form that [ParseBytes] reads back to the same value.
func (b Bytes) String() string { return formatUnits(uint64(b), binaryUnits) }

// MarshalText implements [encoding.TextMarshaler].
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseBytes].
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBytes(string(text))
	return err
}

// UnmarshalJSON takes the text form and a plain number of bytes.
func (b *Bytes) UnmarshalJSON(data []byte) error { return unmarshalNumber(data, b.UnmarshalText) }

// String returns the rate in the largest unit that divides it.
func (r BitRate) String() string { return formatUnits(uint64(r), bitUnits[:4]) }

// MarshalText implements [encoding.TextMarshaler].
func (r BitRate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseBitRate].
func (r *BitRate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseBitRate(string(text))
	return err
}

// UnmarshalJSON takes the text form and a plain number of bits per second.
func (r *BitRate) UnmarshalJSON(data []byte) error { return unmarshalNumber(data, r.UnmarshalText) }

func unmarshalNumber(data []byte, text func([]byte) error) error {
	var s string
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		return text([]byte(s))
	}
	return text(data)
}

// clip shortens a value for an error text.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	end := most
	for end > most-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
