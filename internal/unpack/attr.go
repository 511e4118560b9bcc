package unpack

import (
	"fmt"
	"strings"
)

// attributes collects what is kept of an entry's extended attributes.
type attributes struct {
	report *Report
	entry  *entry
	strip  bool
}

const capability = "security.capability"

// add applies the policy to one attribute; value is called only if it is kept.
func (a attributes) add(name string, value func() (string, error)) error {
	switch {
	case strings.HasPrefix(name, "trusted.overlay."), strings.HasPrefix(name, "user.overlay."):
		return fmt.Errorf("attribute %q: %w", name, ErrLayer)
	case !a.keeps(name):
		return nil
	case len(name) > maxName:
		return fmt.Errorf("%w: the name of an attribute has more than %d bytes", ErrEntry, maxName)
	}
	v, err := value()
	if err != nil {
		return err
	}
	if len(v) > maxAttr {
		return fmt.Errorf("attribute %q: %w", name, limitError("bytes", maxAttr))
	}
	if a.entry.attrs == nil {
		a.entry.attrs = map[string]string{}
	}
	a.entry.attrs[name] = v
	return nil
}

// keeps reports what it does not keep.
func (a attributes) keeps(name string) bool {
	var why Reason
	switch {
	case strings.HasPrefix(name, "trusted."):
		why = SkippedTrusted
	case strings.HasPrefix(name, "security.") && name != capability:
		why = SkippedSecurity
	case a.entry.kind != file && a.entry.kind != directory:
		why = SkippedOnSpecial // user.* is refused by the kernel, see xattr(7); others mean nothing
	case name == capability && a.entry.kind != file:
		why = SkippedOnSpecial
	case name == capability && a.strip:
		why = SkippedSetID
	case name == capability, name == "system.posix_acl_access", strings.HasPrefix(name, "user."):
		return true
	case name == "system.posix_acl_default" && a.entry.kind == directory:
		return true
	default:
		why = SkippedAttribute
	}
	a.report.skip(why, a.entry.name)
	return false
}
