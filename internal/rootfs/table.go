package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// table is a file as passwd(5), whose lines have fields between colons. Lines that
// are not touched stay as they are to the byte, whatever they hold.
type table struct {
	name   string
	fields int
	mode   fs.FileMode
	lines  []string
	exists bool
	before []byte
}

// table reads a file of the image. One that is missing is empty; one that is not a
// file is an error, because what it ought to hold cannot be known.
func (b *boot) table(name string, fields int, mode fs.FileMode) (*table, error) {
	data, err := b.t.ReadFile(name, maxTable)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t, perr := parseTable(name, data, fields)
	if perr != nil {
		return nil, perr
	}
	t.exists, t.mode = err == nil, mode
	return t, nil
}

func parseTable(name string, data []byte, fields int) (*table, error) {
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, fmt.Errorf("%s: %w: it has bytes of zero", name, ErrUnsafe)
	}
	return &table{name: name, fields: fields, lines: strings.SplitAfter(string(data), "\n"), before: data}, nil
}

func (t *table) bytes() []byte { return []byte(strings.Join(t.lines, "")) }

// find returns the fields of the first line of that name, which is the one that
// getpwnam(3) finds, or nil.
func (t *table) find(name string) (int, []string, error) {
	for i, l := range t.lines {
		fields := strings.Split(strings.TrimSuffix(l, "\n"), ":")
		if fields[0] != name {
			continue
		}
		if len(fields) != t.fields {
			return i, nil, fmt.Errorf("%s: %w: the line of %s has %d fields, not %d; mend it", t.name, ErrUnsafe, name, len(fields), t.fields)
		}
		return i, fields, nil
	}
	return -1, nil, nil
}

func (t *table) set(i int, fields []string) {
	t.lines[i] = strings.Join(fields, ":") + ending(t.lines[i])
}

func (t *table) add(fields ...string) {
	last := len(t.lines) - 1
	if t.lines[last] != "" {
		t.lines[last] += "\n"
		t.lines = append(t.lines, "")
		last++
	}
	t.lines[last] = strings.Join(fields, ":") + "\n"
	t.lines = append(t.lines, "")
}

// ids are the numbers in the third field: of users, or of groups.
func (t *table) ids() map[int]bool {
	used := map[int]bool{}
	for _, l := range t.lines {
		if fields := strings.Split(l, ":"); len(fields) > 2 {
			if id, err := strconv.Atoi(fields[2]); err == nil {
				used[id] = true
			}
		}
	}
	return used
}

// member adds a user to the last field of a group's line, and reports whether there is
// such a group.
func (t *table) member(group, user string) (bool, error) {
	i, fields, err := t.find(group)
	if err != nil || fields == nil {
		return false, err
	}
	last := len(fields) - 1
	members := strings.Split(fields[last], ",")
	if slices.Contains(members, user) {
		return true, nil
	}
	fields[last] = strings.TrimPrefix(fields[last]+","+user, ",")
	t.set(i, fields)
	return true, nil
}

// number is a user's or group's id in a field.
func (t *table) number(field string) (int, error) {
	id, err := strconv.Atoi(field)
	if err != nil || id < 0 || id > maxID {
		return 0, fmt.Errorf("%s: %w: %.20q is not an id from 0 to %d", t.name, ErrUnsafe, field, maxID)
	}
	return id, nil
}
