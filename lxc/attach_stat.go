//go:build linux

package lxc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// procStat is a part of /proc/PID/stat, by the numbers of proc(5).
type procStat struct {
	state   byte
	parent  int    // 4
	group   int    // 5
	session int    // 6
	started uint64 // 22, in ticks since the host's start
	exit    int    // 52, of a zombie
}

// readStat reads what the kernel says of a process.
func readStat(pid int) (procStat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	s, err := parseStat(string(text))
	if err != nil {
		return s, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return s, nil
}

// parseStat begins behind the name of the program, which is in parentheses and the
// tenant's: it may hold any character, these too.
func parseStat(text string) (s procStat, err error) {
	at := strings.LastIndexByte(text, ')')
	words := strings.Fields(text[at+1:])
	if at < 0 || len(words) < 50 || len(words[0]) != 1 {
		return s, errors.New("it is not as proc(5) says")
	}
	s.state = words[0][0]
	for _, f := range []struct {
		to    *int
		field int
	}{{&s.parent, 4}, {&s.group, 5}, {&s.session, 6}, {&s.exit, 52}} {
		n, nerr := strconv.Atoi(words[f.field-3])
		err = errors.Join(err, nerr)
		*f.to = n
	}
	started, serr := strconv.ParseUint(words[22-3], 10, 64)
	s.started = started
	return s, errors.Join(err, serr)
}
