package cgroup

import (
	"fmt"
	"strconv"
	"strings"
)

// deviceCount is a number that belongs to a device.
type deviceCount struct {
	device Device
	n      uint64
}

// parseDevice reads "8:0".
func parseDevice(s string) (Device, error) {
	major, minor, found := strings.Cut(s, ":")
	a, err := strconv.ParseUint(major, 10, 32)
	b, err2 := strconv.ParseUint(minor, 10, 32)
	if !found || err != nil || err2 != nil {
		return Device{}, fmt.Errorf("%q is not the number of a device", clip(s))
	}
	return Device{uint32(a), uint32(b)}, nil
}

// parseThrottle reads a file of version 1 with a device and a number in each line.
func parseThrottle(text string) ([]deviceCount, error) {
	var list []deviceCount
	for line := range strings.Lines(text) {
		name, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		d, err := parseDevice(name)
		if err != nil {
			return nil, err
		}
		n, err := parseCount(number)
		if err != nil {
			return nil, err
		}
		list = append(list, deviceCount{d, n})
	}
	return list, nil
}

// keyed reads a line "8:0 name=number name=number" of version 2, and calls fn for
// each number.
func keyed(line string, fn func(name, value string) error) (Device, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Device{}, fmt.Errorf("line %q has no device", clip(line))
	}
	d, err := parseDevice(words[0])
	if err != nil {
		return d, err
	}
	for _, w := range words[1:] {
		name, value, found := strings.Cut(w, "=")
		if !found {
			return d, fmt.Errorf("%q has no value", clip(w))
		}
		if err := fn(name, value); err != nil {
			return d, fmt.Errorf("%s: %w", clip(name), err)
		}
	}
	return d, nil
}

// parseIOMax reads io.max. Names that newer kernels may add are passed over.
func parseIOMax(text string) ([]IOLimit, error) {
	var list []IOLimit
	for line := range strings.Lines(text) {
		var l IOLimit
		fields := map[string]*uint64{"rbps": &l.ReadBPS, "wbps": &l.WriteBPS, "riops": &l.ReadIOPS, "wiops": &l.WriteIOPS}
		d, err := keyed(line, func(name, value string) (err error) {
			if at := fields[name]; at != nil {
				*at, err = parseLimit(value)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		l.Device = d
		list = append(list, l)
	}
	return list, nil
}
