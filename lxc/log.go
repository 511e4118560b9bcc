//go:build linux

package lxc

import (
	"bufio"
	"io"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLog is how much of a log is looked at for the cause.
const maxLog = 1 << 20

// logRE is a line of liblxc's log, from log_append_logfile in log.c of liblxc 5:
//
//	lxc NAME 20261123042608.557 ERROR    confile - ../src/lxc/confile.c:func:170 - Invalid argument - Unsupported …
var logRE = regexp.MustCompile(`^\S+ \S+ \d{14}\.\d{3} (ERROR|CRIT|ALERT|FATAL) +(\S+) - \S+:(\w+):\d+ - (.*)$`)

// noise are functions whose errors are about what liblxc looks at besides.
var noise = map[string]bool{"get_config_unsupported_key": true}

// memoryFile is where a log is written to that nobody keeps.
func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("liblxc-log", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "liblxc-log"), nil
}

// causeIn returns the first error of a log, without time and place: the later ones
// are its consequences.
func causeIn(log io.ReaderAt) string {
	lines := bufio.NewScanner(io.NewSectionReader(log, 0, maxLog))
	lines.Buffer(nil, maxLog)
	for lines.Scan() {
		m := logRE.FindStringSubmatch(lines.Text())
		if m != nil && !noise[m[3]] {
			return printable(m[4])
		}
	}
	return ""
}

// printable makes one line of text that may be the tenant's.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
