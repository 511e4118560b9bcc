package domainxml

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// nameRE is what Build accepts as the name of a metadata element or prefix.
var nameRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// valid refuses what would not come back from the document as it was given.
func (g *Guest) valid() error {
	if g.Name == "" || g.UUID == "" || g.CPUs < 1 || g.Memory == 0 {
		return errors.New("domainxml: name, UUID, CPUs and memory are required")
	}
	if g.Memory > math.MaxInt64 {
		return fmt.Errorf("domainxml: memory of %d bytes is too much", g.Memory)
	}
	texts := []string{g.Name, g.UUID, g.Machine, g.ConsoleLog}
	if k := g.Kernel; k != nil {
		texts = append(texts, k.Image, k.Initrd, k.Cmdline)
	}
	for i, d := range g.Disks {
		if d.Path == "" || d.Format == "" {
			return fmt.Errorf("domainxml: disk %d: path and format are required", i)
		}
		texts = append(texts, d.Path, d.Format, d.Serial)
	}
	for i, n := range g.NICs {
		if n.Bridge == "" || n.MAC == "" {
			return fmt.Errorf("domainxml: NIC %d: bridge and MAC are required", i)
		}
		texts = append(texts, n.Bridge, n.MAC, n.Device)
	}
	seen := map[string]bool{}
	for _, m := range g.Metadata {
		if !nameRE.MatchString(m.Prefix) || !nameRE.MatchString(m.Element) || m.Namespace == "" || strings.HasPrefix(strings.ToLower(m.Prefix), "xml") {
			return fmt.Errorf("domainxml: metadata needs a namespace, a prefix and the name of an element, not %q, %q and %q", m.Namespace, m.Prefix, m.Element)
		}
		if seen[m.Namespace] {
			return fmt.Errorf("domainxml: metadata has the namespace %q twice", m.Namespace)
		}
		seen[m.Namespace] = true
		texts = append(texts, m.Namespace, m.Text)
	}
	for _, s := range texts {
		if err := carried(s); err != nil {
			return err
		}
	}
	return nil
}

// carried refuses characters that XML 1.0 has no form for, section 2.2:
// encoding/xml would put U+FFFD in their place and say nothing.
func carried(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("domainxml: a string is not UTF-8")
	}
	for _, r := range s {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return fmt.Errorf("domainxml: XML cannot carry the character %U", r)
		}
	}
	return nil
}
