// Package mountinfo reads tables of mounts as the kernel writes them: see
// proc_pid_mountinfo(5).
package mountinfo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mount is one line of a table.
type Mount struct {
	ID      int
	Root    string // what of the file system is mounted
	Point   string // where
	Options []string
	Type    string   // of the file system: "ext4"
	Source  string   // may be empty
	Super   []string // options of the file system
}

// maxQuoted bounds what of a line is in an error.
const maxQuoted = 80

// Parse reads a table, in the order of which a later mount covers an earlier one at
// the same place.
func Parse(text []byte) ([]Mount, error) {
	var list []Mount
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		// Between the options and " - " are any number of fields.
		before, after, found := strings.Cut(line, " - ")
		own, fs := strings.Split(before, " "), strings.Split(after, " ") // a source may be empty
		if !found || len(own) < 6 || len(fs) < 3 {
			return nil, fmt.Errorf("line %.*q of the table of mounts is not as proc_pid_mountinfo(5) says", maxQuoted, line)
		}
		id, err := strconv.Atoi(own[0])
		if err != nil {
			return nil, fmt.Errorf("line %.*q of the table of mounts: %w", maxQuoted, line, err)
		}
		list = append(list, Mount{ID: id, Root: unescape(own[3]), Point: unescape(own[4]), Options: strings.Split(own[5], ","),
			Type: fs[0], Source: unescape(fs[1]), Super: strings.Split(fs[2], ",")})
	}
	return list, nil
}

// unescape undoes \ooo, as which the kernel writes space, tab, newline and \.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Option returns the value of an option of the file system.
func (m *Mount) Option(name string) (value string, ok bool) {
	for _, o := range m.Super {
		if v, ok := strings.CutPrefix(o, name+"="); ok {
			return unescape(v), true
		}
	}
	return "", false
}

// Has says whether the mount, or its file system, has an option without a value.
func (m *Mount) Has(option string) bool {
	return slices.Contains(m.Options, option) || slices.Contains(m.Super, option)
}

// Of returns the mount that a path is in, which is absolute and has no links, or nil.
func Of(list []Mount, path string) *Mount {
	var best *Mount
	for i := range list {
		m := &list[i]
		in := path == m.Point || strings.HasPrefix(path, strings.TrimSuffix(m.Point, "/")+"/")
		if in && (best == nil || len(m.Point) >= len(best.Point)) {
			best = m
		}
	}
	return best
}
