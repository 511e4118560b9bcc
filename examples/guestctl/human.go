package main

import (
	"strconv"

	"github.com/guestforge/provision"
)

// orDash is a text for a table, or a dash where 0 means that nobody knows.
func orDash[T comparable](n T, text func(T) string) string {
	var zero T
	if n == zero {
		return "-"
	}
	return text(n)
}

// human is an amount for people, to three digits: "161 MiB". In JSON amounts are
// exact.
func human(b provision.Bytes) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	n, i := float64(b), 0
	for i+1 < len(units) && n >= 1023.5 { // which would be printed as 1024
		n /= 1024
		i++
	}
	if n >= 100 {
		return strconv.FormatFloat(n, 'f', 0, 64) + " " + units[i]
	}
	return strconv.FormatFloat(n, 'g', 3, 64) + " " + units[i]
}
