package domainxml

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// nameRE is what Build accepts as the name of a metadata element or prefix.
var nameRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// uriRE is what RFC 3986 allows in a URI but for & and ', as libxml2 2.9 writes
// those of namespaces as they are: libvirt could not read its own file again.
var uriRE = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9:/?#\[\]@!$()*+,;=._~%-]+$`)

// Bounds of libvirt and of cpu.shares: 262144 is the most that kernels take.
const (
	maxLimit  = 10_000_000
	maxShares = 262_144
)

// valid refuses what would not come back from the document as it was given.
func (g *Guest) valid() error {
	if g.Name == "" || g.UUID == "" || g.CPUs < 1 || g.Memory == 0 {
		return errors.New("domainxml: name, UUID, CPUs and memory are required")
	}
	if g.Memory > math.MaxInt64 {
		return fmt.Errorf("domainxml: memory of %d bytes is too much", g.Memory)
	}
	if g.Backing.HardLimit > math.MaxInt64 || g.CPU.Limit > maxLimit || g.CPU.Shares > maxShares {
		return errors.New("domainxml: a limit of memory or CPU is out of range")
	}
	texts := []string{g.Name, g.UUID, g.Machine, g.ConsoleLog, g.CPU.Model, g.CPU.Pin}
	if f := g.Firmware; f != nil {
		texts = append(texts, f.NVRAM)
	}
	if k := g.Kernel; k != nil {
		texts = append(texts, k.Image, k.Initrd, k.Cmdline)
	}
	for i, d := range g.Disks {
		if err := d.valid(); err != nil {
			return fmt.Errorf("domainxml: disk %d: %w", i, err)
		}
	}
	for i, n := range g.NICs {
		if err := n.valid(); err != nil {
			return fmt.Errorf("domainxml: NIC %d: %w", i, err)
		}
	}
	seen := map[string]bool{}
	for _, m := range g.Metadata {
		if err := m.valid(); err != nil {
			return fmt.Errorf("domainxml: %w", err)
		}
		if seen[m.Namespace] {
			return fmt.Errorf("domainxml: metadata has the namespace %q twice", m.Namespace)
		}
		seen[m.Namespace] = true
	}
	if err := carried(texts...); err != nil {
		return fmt.Errorf("domainxml: %w", err)
	}
	return nil
}

func (d *Disk) valid() error {
	if d.Path == "" || d.Format == "" {
		return errors.New("path and format are required")
	}
	if d.Format != "qcow2" && d.Format != "raw" {
		return fmt.Errorf("the format %q is neither qcow2 nor raw", d.Format)
	}
	if d.IOPS > math.MaxInt64 || d.BPS > math.MaxInt64 {
		return errors.New("a limit is out of range")
	}
	return carried(d.Path, d.Format, d.Serial, d.Target, d.Cache, d.IO)
}

func (n *NIC) valid() error {
	if n.Bridge == "" || n.MAC == "" {
		return errors.New("bridge and MAC are required")
	}
	if mac, ok := parseMAC(n.MAC); !ok || mac[0]&1 != 0 || mac == [6]byte{} {
		return fmt.Errorf("%q is not the MAC of one card, in the form 52:54:00:a1:b2:c3", n.MAC)
	}
	if n.VLAN < 0 || n.VLAN > 4094 || n.MTU < 0 || n.MTU > math.MaxUint16 || n.Queues < 0 || n.Queues > 256 || n.In > math.MaxInt32 || n.Out > math.MaxInt32 {
		return errors.New("VLAN, MTU, queues or rate is out of range")
	}
	if n.Filter == "" && len(n.Parameters) > 0 {
		return errors.New("it has parameters of a filter and no filter")
	}
	texts := []string{n.Bridge, n.MAC, n.Device, n.Filter}
	for _, p := range n.Parameters {
		texts = append(texts, p.Name, p.Value)
	}
	return carried(texts...)
}

func (m *Metadata) valid() error {
	if !nameRE.MatchString(m.Prefix) || !nameRE.MatchString(m.Element) || m.Namespace == "" || strings.HasPrefix(strings.ToLower(m.Prefix), "xml") {
		return fmt.Errorf("metadata needs a namespace, a prefix and the name of an element, not %q, %q and %q", m.Namespace, m.Prefix, m.Element)
	}
	if !uriRE.MatchString(m.Namespace) {
		return fmt.Errorf("metadata: the namespace %q is no URI, or has one of & and ' in it", m.Namespace)
	}
	return carried(m.Text)
}

// carried refuses characters that XML 1.0 has no form for: encoding/xml would put
// U+FFFD in their place and say nothing.
func carried(texts ...string) error {
	for _, s := range texts {
		if _, problem := badCharacter(s); problem != "" {
			return errors.New("a string has " + problem)
		}
	}
	return nil
}
