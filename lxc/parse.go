//go:build linux

package lxc

import (
	"fmt"
	"strings"
)

// settings are the values of a configuration file of liblxc by their keys, in the
// order in which they stand. What is included from other files is not followed.
type settings map[string][]string

// maxConfig bounds what is read as a configuration.
const maxConfig = 1 << 20

// parseConfig reads a configuration file, as lxc.container.conf(5) describes it: an
// empty value takes back what stood before.
func parseConfig(data []byte) (settings, error) {
	s := settings{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %d is no key with a value", i+1)
		}
		key, value = strings.TrimSpace(key), unquote(strings.TrimSpace(value))
		if value == "" {
			delete(s, key)
			continue
		}
		s[key] = append(s[key], value)
	}
	return s, nil
}

// unquote takes one pair of quotes away, as parse_line in confile.c does.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// last returns the value that counts of a key that has one.
func (s settings) last(key string) string {
	if v := s[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}
