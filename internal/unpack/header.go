package unpack

import (
	"archive/tar"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fromHeader makes an entry of a tar header. It reports false for what is left
// out. Nothing in the header is believed but its syntax, which archive/tar checked.
func (o Options) fromHeader(h *tar.Header, r *Report) (*entry, bool, error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil, false, checkGlobal(h)
	}
	name, err := clean(h.Name)
	if err != nil {
		return nil, false, err
	}
	e := &entry{name: name, mode: uint32(h.Mode & 0o7777), modified: h.ModTime, size: h.Size}
	if err := e.setType(h); err != nil {
		return nil, false, err
	}
	if err := e.setOwner(int64(h.Uid), int64(h.Gid)); err != nil {
		return nil, false, err
	}
	if ok, err := o.admit(e, r); !ok {
		return nil, false, err
	}
	return e, true, e.setRecords(h.PAXRecords, attributes{r, e, o.StripSetID})
}

// checkGlobal refuses records that GNU tar would apply to all entries that
// follow, and that archive/tar does not apply. Those of git are comments.
func checkGlobal(h *tar.Header) error {
	for key := range h.PAXRecords {
		if key != "comment" {
			return fmt.Errorf("%w: global pax record %q is not supported: pack it again", ErrEntry, key)
		}
	}
	return nil
}

func (e *entry) setType(h *tar.Header) (err error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.kind = file
		if h.Size < 0 {
			return fmt.Errorf("%w: its size is negative", ErrEntry)
		}
		if strings.HasSuffix(h.Name, "/") { // how old tars write a directory
			e.kind = directory
			if h.Size > 0 {
				return fmt.Errorf("%w: a directory with content", ErrEntry)
			}
		}
	case tar.TypeDir:
		e.kind = directory
	case tar.TypeSymlink:
		e.kind, e.target = symlink, h.Linkname
		if n := len(e.target); n == 0 || n > maxPath || strings.Contains(e.target, "\x00") {
			return fmt.Errorf("%w: its target has %d bytes, or a NUL in it", ErrLink, n)
		}
	case tar.TypeLink:
		e.kind = hardlink
		if e.target, err = clean(h.Linkname); err != nil {
			return fmt.Errorf("%w: target %.100q: %w", ErrLink, h.Linkname, err)
		}
	case tar.TypeFifo:
		e.kind = fifo
	case tar.TypeChar, tar.TypeBlock:
		return e.setDevice(h)
	default:
		return fmt.Errorf("%w: its type is %q", ErrEntry, h.Typeflag)
	}
	return nil
}

// setDevice has the bounds of the kernel's dev_t: 12 and 20 bits.
func (e *entry) setDevice(h *tar.Header) error {
	if h.Devmajor < 0 || h.Devmajor >= 1<<12 || h.Devminor < 0 || h.Devminor >= 1<<20 {
		return fmt.Errorf("%w: device number %d:%d is out of range", ErrEntry, h.Devmajor, h.Devminor)
	}
	e.kind, e.major, e.minor = charDevice, uint32(h.Devmajor), uint32(h.Devminor)
	if h.Typeflag == tar.TypeBlock {
		e.kind = blockDevice
	}
	return nil
}

const xattrRecord = "SCHILY.xattr."

// setRecords takes over extended attributes, and refuses what archive/tar would
// read as something else than it is.
func (e *entry) setRecords(records map[string]string, a attributes) error {
	switch v := records["GNU.sparse.major"] + "." + records["GNU.sparse.minor"]; v {
	case ".", "0.0", "0.1", "1.0":
	default:
		return fmt.Errorf("%w: sparse format %.10q is not known", ErrEntry, v)
	}
	keys := slices.Sorted(maps.Keys(records))
	twin := slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, xattrRecord) })
	for _, key := range keys {
		switch name, ok := strings.CutPrefix(key, xattrRecord); {
		case ok:
			if err := a.add(name, func() (string, error) { return records[key], nil }); err != nil {
				return err
			}
		case strings.HasPrefix(key, "SCHILY.acl."):
			a.report.skip(SkippedTextACL, e.name)
		case strings.HasPrefix(key, "RHT.security."):
			a.report.skip(SkippedSecurity, e.name)
		case strings.HasPrefix(key, "LIBARCHIVE.xattr.") && !twin: // bsdtar writes both
			a.report.skip(SkippedLibarch, e.name)
		}
	}
	return nil
}
