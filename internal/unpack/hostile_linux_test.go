package unpack_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/unpack"
)

// oddity is an archive that is hostile or only strange. It either is refused
// with err (and text in the message), or gives the tree.
type oddity struct {
	name  string
	build func(*maker)
	opts  unpack.Options
	err   error
	text  string
	tree  []string
	check func(*testing.T, unpack.Report)
	bare  bool // the end of the archive is not written for it
}

var errAny = errors.New("any")

var oddities = []oddity{
	// Names.
	{name: "dot dot", build: func(m *maker) { m.file("../outside/passwd", "x") }, err: unpack.ErrName, text: `"../outside/passwd"`},
	{name: "dot dot inside", build: func(m *maker) { m.file("a/../../outside/passwd", "x") }, err: unpack.ErrName},
	{name: "dot dot that stays inside", build: func(m *maker) { m.file("a/../b", "x") }, err: unpack.ErrName},
	{name: "dot dot at the end", build: func(m *maker) { m.dir("a/..") }, err: unpack.ErrName},
	{name: "dot dot alone", build: func(m *maker) { m.dir("..") }, err: unpack.ErrName},
	{name: "absolute", build: func(m *maker) { m.file("/etc/x", "1"); m.file("//etc//y", "2"); m.file("/./etc/./z", "3") },
		tree: []string{"etc/ 755", `etc/x 644 "1"`, `etc/y 644 "2"`, `etc/z 644 "3"`}},
	{name: "absolute and out", build: func(m *maker) { m.file("/../outside/passwd", "x") }, err: unpack.ErrName},
	{name: "dots that are a name", build: func(m *maker) { m.file("...", "1"); m.file("..a/b..", "2") },
		tree: []string{`... 644 "1"`, "..a/ 755", `..a/b.. 644 "2"`}},
	{name: "newline, quote and escape", build: func(m *maker) { m.file("a\nb\"\x1b[2J", "1") }, tree: []string{"a\nb\"\x1b[2J 644 \"1\""}},
	{name: "newline in an error", build: func(m *maker) { m.file("../a\n\x1b[2J", "1") }, err: unpack.ErrName, text: `"../a\n\x1b[2J"`},
	{name: "not UTF-8", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "abc", Size: 1}, "1", func(b []byte) { b[1] = 0xff })
	}, tree: []string{"a\xffc 644 \"1\""}},
	{name: "NUL in a pax path", build: func(m *maker) { m.records('x', record("path", "a\x00b")); m.file("c", "1") }, err: unpack.ErrDamaged},
	{name: "long component", build: func(m *maker) { m.file(strings.Repeat("n", 256), "") }, err: unpack.ErrName, text: "255 bytes"},
	{name: "longest component", build: func(m *maker) { m.file(strings.Repeat("n", 255), "1") }, tree: []string{strings.Repeat("n", 255) + ` 644 "1"`}},
	{name: "long path", build: func(m *maker) { m.file(strings.Repeat("abcdefg/", 512)+"h", "") }, err: unpack.ErrName, text: "4095"},
	{name: "deep path", build: func(m *maker) { m.file(strings.Repeat("d/", 300)+"f", "") }, err: unpack.ErrName, text: "256 directories"},
	{name: "empty name", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1}, "1", func(b []byte) { b[0] = 0 })
	}, err: unpack.ErrName},
	{name: "file with a slash at the end", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "d.", Mode: 0o700}, "", func(b []byte) { b[1] = '/' })
	}, tree: []string{"d/ 700"}},
	{name: "directory with content", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "d.", Size: 1}, "1", func(b []byte) { b[1] = '/' })
	}, err: unpack.ErrEntry},
	{name: "root that is a link", build: func(m *maker) { m.symlink("./", "../outside") }, err: unpack.ErrName},
	{name: "root that is a file", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: ".", Size: 1}, "1", func([]byte) {})
	}, err: unpack.ErrName},
	{name: "pax path overrides", build: func(m *maker) { m.records('x', record("path", "../outside/passwd")); m.file("fine", "x") }, err: unpack.ErrName},
	{name: "GNU long name overrides", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "././@LongLink", Size: 18}, "../outside/passwd\x00", func(b []byte) { b[156] = 'L' })
		m.file("fine", "x")
	}, err: unpack.ErrName},
	{name: "sparse name overrides", build: func(m *maker) {
		m.records('x', record("GNU.sparse.major", "0")+record("GNU.sparse.minor", "1")+record("GNU.sparse.name", "../outside/passwd")+
			record("GNU.sparse.size", "1")+record("GNU.sparse.numblocks", "1")+record("GNU.sparse.map", "0,1"))
		m.file("fine", "x")
	}, err: unpack.ErrName},

	// Links.
	{name: "file below a planted link", build: func(m *maker) { m.symlink("a", "../outside"); m.file("a/passwd", "x") }, err: unpack.ErrLink, text: `"a"`},
	{name: "file below an absolute link", build: func(m *maker) { m.symlink("a", "/etc"); m.file("a/unpack-test", "x") }, err: unpack.ErrLink},
	{name: "file below a link that stays inside", build: func(m *maker) { m.dir("usr/bin"); m.symlink("bin", "usr/bin"); m.file("bin/sh", "x") }, err: unpack.ErrLink},
	{name: "file below a chain of links", build: func(m *maker) { m.symlink("a", "b"); m.symlink("b", "../outside"); m.file("a/empty/x", "x") }, err: unpack.ErrLink},
	{name: "directory below a link", build: func(m *maker) { m.symlink("a", "../outside"); m.dir("a/new") }, err: unpack.ErrLink},
	{name: "below a file", build: func(m *maker) { m.file("a", ""); m.file("a/b", "x") }, err: unpack.ErrLink},
	{name: "below a FIFO", build: func(m *maker) { m.add(tar.Header{Typeflag: tar.TypeFifo, Name: "a"}, ""); m.file("a/b", "x") }, err: unpack.ErrLink},
	{name: "file over a planted link", build: func(m *maker) { m.symlink("a", "../outside/passwd"); m.file("a", "new") }, tree: []string{`a 644 "new"`}},
	{name: "FIFO over a planted link", build: func(m *maker) {
		m.symlink("a", "../outside/passwd")
		m.add(tar.Header{Typeflag: tar.TypeFifo, Name: "a", Mode: 0o622}, "")
	}, tree: []string{"a| 622"}},
	{name: "mode through a link", build: func(m *maker) { m.symlink("a", "../outside/passwd"); m.dir("a") }, tree: []string{"a/ 755"}},
	{name: "directory over a link, and into it", build: func(m *maker) { m.symlink("a", "../outside"); m.dir("a"); m.file("a/passwd", "x") },
		tree: []string{"a/ 755", `a/passwd 644 "x"`}},
	{name: "empty directory becomes a link", build: func(m *maker) { m.dir("a"); m.symlink("a", "../outside"); m.file("a/passwd", "x") }, err: unpack.ErrLink},
	{name: "used directory becomes a link", build: func(m *maker) { m.file("a/b", ""); m.symlink("a", "../outside") }, err: unpack.ErrOccupied},
	{name: "times of a directory that became a link", build: func(m *maker) { m.dir("a"); m.symlink("a", "../outside") }, tree: []string{"a -> ../outside"}},
	{name: "links that are usual", build: func(m *maker) { m.symlink("etc/mtab", "/proc/self/mounts"); m.symlink("up", "../../../../etc") },
		tree: []string{"etc/ 755", "etc/mtab -> /proc/self/mounts", "up -> ../../../../etc"}},
	{name: "link without a target", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "b"}, "", func(b []byte) { b[157] = 0 })
	}, err: unpack.ErrLink},
	{name: "link with a long target", build: func(m *maker) { m.symlink("a", strings.Repeat("x", 4096)) }, err: unpack.ErrLink},
	{name: "hard link out", build: func(m *maker) { m.link("a", "../../etc/passwd") }, err: unpack.ErrName},
	{name: "hard link out beside", build: func(m *maker) { m.link("a", "../outside/passwd") }, err: unpack.ErrName},
	{name: "hard link to an absolute path", build: func(m *maker) { m.link("a", "/etc/passwd") }, err: unpack.ErrLink, text: "not there yet"},
	{name: "hard link to an absolute path in the tree", build: func(m *maker) { m.file("etc/passwd", "1"); m.link("a", "/etc/passwd") },
		tree: []string{`a 644 "1"`, "etc/ 755", `etc/passwd 644 "1"`}},
	{name: "hard link to a link", build: func(m *maker) { m.symlink("a", "../outside/passwd"); m.link("b", "a") }, err: unpack.ErrLink, text: "regular"},
	{name: "hard link through a link", build: func(m *maker) { m.symlink("a", "../outside"); m.link("b", "a/passwd"); m.file("b", "x") }, err: unpack.ErrLink},
	{name: "hard link to a directory", build: func(m *maker) { m.dir("a"); m.link("b", "a") }, err: unpack.ErrLink},
	{name: "hard link to the root", build: func(m *maker) { m.link("b", "./") }, err: unpack.ErrLink},
	{name: "hard link to a device", build: func(m *maker) { m.device(tar.TypeBlock, "dev/sda", 8, 0); m.link("b", "dev/sda") },
		opts: unpack.Options{Devices: unpack.DevicesKeep}, err: unpack.ErrLink},
	{name: "hard link to a skipped device", build: func(m *maker) { m.device(tar.TypeBlock, "dev/sda", 8, 0); m.link("b", "dev/sda") }, err: unpack.ErrLink},
	{name: "hard link to itself", build: func(m *maker) { m.file("a", "1"); m.link("a", "./a") }, err: unpack.ErrLink},
	{name: "hard link before its file", build: func(m *maker) { m.link("a", "b"); m.file("b", "") }, err: unpack.ErrLink},
	{name: "hard link over a planted link", build: func(m *maker) { m.symlink("a", "../outside/passwd"); m.file("b", "1"); m.link("a", "b") },
		tree: []string{`a 644 "1"`, `b 644 "1"`}},
	{name: "hard link below a planted link", build: func(m *maker) { m.symlink("a", "../outside"); m.file("b", "1"); m.link("a/new", "b") }, err: unpack.ErrLink},

	// Entries that come twice.
	{name: "file twice", build: func(m *maker) { m.file("a", "first, longer"); m.file("a", "2") }, tree: []string{`a 644 "2"`}, check: func(t *testing.T, r unpack.Report) {
		require.Equal(t, []any{1, 1, int64(1)}, []any{r.Replaced, r.Files, r.Bytes})
	}},
	{name: "file with two names, then again", build: func(m *maker) { m.file("a", "1"); m.link("b", "a"); m.file("a", "2") }, tree: []string{`a 644 "2"`, `b 644 "1"`}},
	{name: "hard link twice", build: func(m *maker) { m.file("a", "1"); m.link("b", "a"); m.link("b", "a"); m.link("a", "b") }, tree: []string{`a 644 "1"`, `b 644 "1"`}},
	{name: "file over a FIFO", build: func(m *maker) { m.add(tar.Header{Typeflag: tar.TypeFifo, Name: "a"}, ""); m.file("a", "1") }, tree: []string{`a 644 "1"`}},
	{name: "file over a device", build: func(m *maker) { m.device(tar.TypeChar, "a", 1, 3); m.file("a", "1") },
		opts: unpack.Options{Devices: unpack.DevicesKeep}, tree: []string{`a 644 "1"`}},
	{name: "file over an empty directory", build: func(m *maker) { m.dir("a"); m.file("a", "1") }, tree: []string{`a 644 "1"`}},
	{name: "file over a used directory", build: func(m *maker) { m.file("a/b", ""); m.file("a", "1") }, err: unpack.ErrOccupied, text: `"a"`},
	{name: "hard link over a used directory", build: func(m *maker) { m.file("f", ""); m.file("a/b", ""); m.link("a", "f") }, err: unpack.ErrOccupied},
	{name: "directory twice", build: func(m *maker) {
		m.dir("a")
		m.file("a/b", "1")
		m.add(tar.Header{Typeflag: tar.TypeDir, Name: "a", Mode: 0o1777}, "")
	}, tree: []string{"a/ 1777", `a/b 644 "1"`}},
	{name: "directory after what is in it, without rights", build: func(m *maker) {
		m.file("a/b/c", "1")
		m.patch(tar.Header{Typeflag: tar.TypeDir, Name: "a"}, "", func(b []byte) { copy(b[100:], "0000000\x00") })
	}, tree: []string{"a/ 0", "a/b/ 755", `a/b/c 644 "1"`}},

	// Kinds.
	{name: "device below dev", build: func(m *maker) { m.device(tar.TypeChar, "dev/null", 1, 3); m.device(tar.TypeBlock, "./dev/a/sda", 8, 0) },
		tree: []string{}, check: func(t *testing.T, r unpack.Report) {
			require.Equal(t, []unpack.Skipped{{Reason: unpack.SkippedDevice, Count: 2, Names: []string{"dev/null", "dev/a/sda"}}}, r.Skipped)
		}},
	{name: "device elsewhere", build: func(m *maker) { m.device(tar.TypeBlock, "tmp/sda", 8, 0) }, err: unpack.ErrDevice},
	{name: "device below what looks like dev", build: func(m *maker) { m.device(tar.TypeChar, "dev2/mem", 1, 1) }, err: unpack.ErrDevice},
	{name: "device elsewhere, left out", build: func(m *maker) { m.device(tar.TypeBlock, "tmp/sda", 8, 0) }, opts: unpack.Options{Devices: unpack.DevicesSkip}, tree: []string{}},
	{name: "device kept", build: func(m *maker) { m.device(tar.TypeChar, "dev/null", 1, 3) }, opts: unpack.Options{Devices: unpack.DevicesKeep},
		tree: []string{"dev/ 755", "dev/null 20644 1:3"}},
	{name: "device out of range", build: func(m *maker) { m.device(tar.TypeChar, "dev/x", 1<<12, 0) }, err: unpack.ErrEntry},
	{name: "overlay whiteout", build: func(m *maker) { m.device(tar.TypeChar, "etc/passwd", 0, 0) }, err: unpack.ErrLayer},
	{name: "overlay whiteout below dev", build: func(m *maker) { m.device(tar.TypeChar, "dev/x", 0, 0) }, opts: unpack.Options{Devices: unpack.DevicesKeep}, err: unpack.ErrLayer},
	{name: "OCI whiteout", build: func(m *maker) { m.file("etc/.wh.passwd", "") }, err: unpack.ErrLayer, text: "layer"},
	{name: "OCI opaque directory", build: func(m *maker) { m.file("etc/.wh..wh..opq", "") }, err: unpack.ErrLayer},
	{name: "AUFS directory", build: func(m *maker) { m.file(".wh..wh.plnk/1.2", "") }, err: unpack.ErrLayer},
	{name: "unknown kind", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1}, "1", func(b []byte) { b[156] = 'V' })
	}, err: unpack.ErrEntry, text: "'V'"},
	{name: "global header of git", build: func(m *maker) { m.records('g', record("comment", "abc")); m.file("a", "1") }, tree: []string{`a 644 "1"`}},
	{name: "global path", build: func(m *maker) { m.records('g', record("path", "../outside/passwd")); m.file("a", "1") }, err: unpack.ErrEntry, text: `"path"`},
	{name: "negative owner", build: func(m *maker) {
		m.records('x', record("uid", "-1"))
		m.file("a", "1")
	}, err: unpack.ErrEntry},
	{name: "owner that chown would ignore", build: func(m *maker) {
		m.records('x', record("gid", "4294967295"))
		m.file("a", "1")
	}, err: unpack.ErrEntry},
	{name: "high owner", build: func(m *maker) {
		m.records('x', record("gid", "4294967294"))
		m.file("a", "1")
	}, tree: []string{`a 644 "1"`}, check: func(t *testing.T, r unpack.Report) { require.EqualValues(t, 4294967294, r.HighestID) }},
	{name: "time out of range", build: func(m *maker) { m.records('x', record("mtime", "99999999999999999")); m.file("a", "1") }, tree: []string{`a 644 "1"`}},
	{name: "set-id kept", build: func(m *maker) { m.add(tar.Header{Typeflag: tar.TypeReg, Name: "su", Mode: 0o6755, Uid: 7, Gid: 8}, "") }, tree: []string{`su 6755 ""`},
		check: func(t *testing.T, r unpack.Report) { require.Equal(t, 1, r.SetID) }},
	{name: "set-id stripped", build: func(m *maker) {
		m.add(tar.Header{Typeflag: tar.TypeReg, Name: "su", Mode: 0o6755}, "")
		m.add(tar.Header{Typeflag: tar.TypeDir, Name: "d", Mode: 0o2775}, "")
		m.pax("ping", map[string]string{"SCHILY.xattr.security.capability": netRaw})
	}, opts: unpack.Options{StripSetID: true}, tree: []string{"d/ 2775", `ping 644 ""`, `su 755 ""`}, check: func(t *testing.T, r unpack.Report) {
		require.Equal(t, []unpack.Skipped{{Reason: unpack.SkippedSetID, Count: 2, Names: []string{"su", "ping"}}}, r.Skipped)
	}},

	// Attributes.
	{name: "attribute that marks an opaque directory", build: func(m *maker) { m.pax("a", map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y"}) }, err: unpack.ErrLayer},
	{name: "the same for users", build: func(m *maker) { m.pax("a", map[string]string{"SCHILY.xattr.user.overlay.redirect": "/etc"}) }, err: unpack.ErrLayer},
	{name: "attributes left out", build: func(m *maker) {
		m.pax("a", map[string]string{"SCHILY.xattr.trusted.x": "1", "SCHILY.xattr.security.selinux": "1", "SCHILY.xattr.nonsense": "1",
			"SCHILY.acl.access": "user::rw-", "LIBARCHIVE.xattr.x": "MQ", "RHT.security.selinux": "s"})
		m.add(tar.Header{Typeflag: tar.TypeSymlink, Name: "b", Linkname: "a", PAXRecords: map[string]string{"SCHILY.xattr.user.x": "1"}}, "")
		m.pax("c", map[string]string{"LIBARCHIVE.xattr.x": "MQ"})
	}, tree: []string{`a 644 ""`, "b -> a", `c 644 ""`}, check: func(t *testing.T, r unpack.Report) {
		require.Equal(t, []unpack.Skipped{
			{unpack.SkippedTextACL, 1, []string{"a"}},
			{unpack.SkippedAttribute, 1, []string{"a"}},
			{unpack.SkippedOnSpecial, 1, []string{"b"}},
			{unpack.SkippedSecurity, 2, []string{"a", "a"}},
			{unpack.SkippedLibarch, 1, []string{"c"}},
			{unpack.SkippedTrusted, 1, []string{"a"}},
		}, r.Skipped)
	}},
	{name: "huge attribute", build: func(m *maker) { m.pax("a", map[string]string{"SCHILY.xattr.user.x": strings.Repeat("x", 65537)}) }, err: unpack.ErrLimit},
	{name: "attribute with a long name", build: func(m *maker) { m.pax("a", map[string]string{"SCHILY.xattr.user." + strings.Repeat("x", 256): "1"}) }, err: unpack.ErrEntry},
	{name: "attributes that a pax header cannot hold", build: func(m *maker) {
		m.records('x', record("SCHILY.xattr.user.x", strings.Repeat("x", 2<<20)))
		m.file("a", "")
	}, err: unpack.ErrDamaged},
	{name: "capability that is none", build: func(m *maker) { m.pax("a", map[string]string{"SCHILY.xattr.security.capability": "rubbish"}) }, err: errAny, text: "security.capability"},
	{name: "access list that is none", build: func(m *maker) { m.pax("a", map[string]string{"SCHILY.xattr.system.posix_acl_access": "rubbish"}) }, err: errAny, text: "posix_acl_access"},

	// Sizes.
	{name: "negative size", build: func(m *maker) {
		m.file("x", "")
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "a"}, "", func(b []byte) { copy(b[124:], bytes.Repeat([]byte{0xff}, 12)) })
	}, err: unpack.ErrDamaged},
	{name: "negative pax size", build: func(m *maker) { m.records('x', record("size", "-5")); m.file("a", "") }, err: unpack.ErrDamaged},
	{name: "size of 8 EiB", build: func(m *maker) { m.records('x', record("size", "9223372036854775807")); m.file("a", "") }, err: unpack.ErrLimit},
	{name: "too many bytes", build: func(m *maker) { m.file("a", "12345"); m.file("b", "123456") }, opts: unpack.Options{MaxBytes: 10}, err: unpack.ErrLimit, text: "10 bytes"},
	{name: "just enough bytes", build: func(m *maker) { m.file("a", "12345"); m.file("b", "12345") }, opts: unpack.Options{MaxBytes: 10}, tree: []string{`a 644 "12345"`, `b 644 "12345"`}},
	{name: "too many entries", build: func(m *maker) {
		for i := range 5 {
			m.file(fmt.Sprint(i), "")
		}
	}, opts: unpack.Options{MaxEntries: 4}, err: unpack.ErrLimit, text: "4 entries"},
	{name: "too many implied directories", build: func(m *maker) { m.file("a/b/c/d/e", "") }, opts: unpack.Options{MaxEntries: 4}, err: unpack.ErrLimit},
	{name: "nothing but headers", build: func(m *maker) {
		m.file("a", "")
		for range 2000 {
			m.records('x', record("comment", strings.Repeat("x", 1000)))
		}
	}, opts: unpack.Options{MaxEntries: 10, MaxBytes: 10}, err: unpack.ErrLimit, text: "decompressed"},
	{name: "sparse file of 8 EiB", build: func(m *maker) {
		m.records('x', record("GNU.sparse.major", "0")+record("GNU.sparse.minor", "1")+record("GNU.sparse.name", "a")+
			record("GNU.sparse.size", "9223372036854775807")+record("GNU.sparse.numblocks", "1")+record("GNU.sparse.map", "0,1"))
		m.file("a", "x")
	}, err: unpack.ErrLimit},
	{name: "sparse map over the end", build: func(m *maker) {
		m.records('x', record("GNU.sparse.major", "0")+record("GNU.sparse.minor", "1")+record("GNU.sparse.name", "a")+
			record("GNU.sparse.size", "10")+record("GNU.sparse.numblocks", "1")+record("GNU.sparse.map", "9,5"))
		m.file("a", "12345")
	}, err: unpack.ErrDamaged},
	{name: "sparse map without end", build: func(m *maker) {
		m.records('x', record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")+record("GNU.sparse.name", "a")+record("GNU.sparse.realsize", "10"))
		m.file("a", "1000000000\n"+strings.Repeat("1\n0\n", 1000))
	}, err: unpack.ErrDamaged},
	{name: "sparse format of the future", build: func(m *maker) {
		m.records('x', record("GNU.sparse.major", "2")+record("GNU.sparse.minor", "0"))
		m.file("a", "1")
	}, err: unpack.ErrEntry},
	{name: "negative size in the first header", build: func(m *maker) {
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "a"}, "", func(b []byte) { copy(b[124:], bytes.Repeat([]byte{0xff}, 12)) })
	}, err: unpack.ErrDamaged},
	{name: "old GNU sparse map without end", build: func(m *maker) {
		m.file("x", "")
		m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "a", Format: tar.FormatGNU, Size: 1}, "1", func(b []byte) { b[156] = 'S'; b[482] = 1 })
	}, err: unpack.ErrDamaged},

	// Ends.
	{bare: true, name: "cut in a file", build: func(m *maker) { m.file("a", strings.Repeat("x", 5000)); m.buf.Truncate(2000) }, err: unpack.ErrDamaged},
	{bare: true, name: "cut in a header", build: func(m *maker) { m.file("a", "1"); m.file("b", "1"); m.buf.Truncate(1300) }, err: unpack.ErrDamaged},
	{bare: true, name: "cut between files", build: func(m *maker) { m.file("a", "1"); m.file("b", "1"); m.buf.Truncate(1024) }, err: unpack.ErrDamaged, text: "two blocks of zeros"},
	{bare: true, name: "one block of zeros, then more", build: func(m *maker) { m.file("a", "1"); m.content("\x00"); m.file("b", "1") }, err: unpack.ErrDamaged},
	{bare: true, name: "a second archive behind", build: func(m *maker) { m.file("a", "1"); m.end(); m.file("b", "1"); m.end() }, err: unpack.ErrDamaged, text: "after its end"},
	{bare: true, name: "rubbish behind", build: func(m *maker) { m.file("a", "1"); m.end(); m.buf.WriteString("rubbish") }, err: unpack.ErrDamaged},
	{bare: true, name: "zeros behind", build: func(m *maker) { m.file("a", "1"); m.end(); m.buf.Write(make([]byte, 100000)) }, tree: []string{`a 644 "1"`}},
	{bare: true, name: "wrong sum", build: func(m *maker) { m.file("a", "1"); m.file("b", "1"); m.buf.Bytes()[1024+150]++ }, err: unpack.ErrDamaged},
}

// netRaw is cap_net_raw=ep as of version 2, see capabilities(7).
const netRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestOddities(t *testing.T) {
	require.Greater(t, len(oddities), 90)
	for _, o := range oddities {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			o.opts.AnyTree = true
			data := archiveOf(t, func(m *maker) {
				o.build(m)
				if !o.bare {
					m.end()
				}
			})
			report, err := unpack.Archive(t.Context(), b.tree, bytes.NewReader(data), unpack.Tar, o.opts)
			b.requireUntouched(t)
			if o.err != nil {
				require.Error(t, err)
				if o.err != errAny {
					require.ErrorIs(t, err, o.err)
				}
				require.ErrorContains(t, err, o.text)
				require.NoError(t, os.RemoveAll(b.tree))
				return
			}
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(o.tree, append([]string{}, outline(t, b.tree)...)))
			if o.check != nil {
				o.check(t, report)
			}
		})
	}
}
