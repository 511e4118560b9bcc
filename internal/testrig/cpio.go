//go:build linux

package testrig

import (
	"bytes"
	"fmt"
	"strings"
)

// archive is a cpio archive in the "newc" format, which the kernel unpacks as
// its first file system. All entries belong to root; device nodes need no
// privilege here.
type archive struct {
	buf   bytes.Buffer
	inode int
}

const (
	modeDir  = 0o040755
	modeFile = 0o100644
	modeExec = 0o100755
	modeChar = 0o020600
	modeLink = 0o120777
)

// add appends an entry. Directories come before what is in them.
func (a *archive) add(name string, mode int, content []byte) { a.entry(name, mode, content, 0, 0) }

// node appends a character device.
func (a *archive) node(name string, major, minor int) { a.entry(name, modeChar, nil, major, minor) }

func (a *archive) entry(name string, mode int, content []byte, major, minor int) {
	a.inode++
	links, mtime := 1, 0
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, links, mtime, len(content), 0, 0, major, minor, len(name)+1, 0, name)
	a.pad()
	a.buf.Write(content)
	a.pad()
}

func (a *archive) pad() { a.buf.WriteString(strings.Repeat("\x00", -a.buf.Len()&3)) }

// bytes ends the archive and returns it.
func (a *archive) bytes() []byte {
	a.entry("TRAILER!!!", 0, nil, 0, 0)
	return a.buf.Bytes()
}
