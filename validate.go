package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a Spec.
const (
	maxKey      = 255
	maxLabels   = 64 << 10
	maxUserData = 512 << 10
	maxDisks    = 16
	maxNICs     = 16
	maxAddrs    = 64 // of one NIC
	maxServers  = 16
	maxSearch   = 32
	maxKeys     = 256 // of SSH
	maxPin      = 1024
	minMemory   = 16 * MiB
	maxAmount   = 64 * PiB // of any number of bytes: leaves room for arithmetic
)

var (
	labelRE  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostRE   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	imageRE  = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)
	bridgeRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`)
	tagRE    = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,63}$`)
	userRE   = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	sshRE    = regexp.MustCompile(`^(ssh|ecdsa|sk)-[a-z0-9@.-]{1,60}$`)
	hashRE   = regexp.MustCompile(`^\$(1|5|6|7|y|gy|2[aby])\$[./A-Za-z0-9$=,]{8,500}$`)
	nationRE = regexp.MustCompile(`^[A-Z]{2}$`)
	sumRE    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// fields collects what is wrong.
type fields struct{ errs []error }

func (f *fields) add(path, value, problem string, args ...any) {
	f.errs = append(f.errs, &FieldError{Path: path, Value: clip(value), Problem: fmt.Sprintf(problem, args...)})
}

// most refuses lists that are too long: a record has a bound.
func (f *fields) most(path string, n, most int) {
	if n > most {
		f.add(path, fmt.Sprint(n), "are too many; at most %d are accepted", most)
	}
}

// Validate reports every field that is wrong, joined: each is a [FieldError]
// and the whole matches [ErrInvalid]. It does not ask whether a host can honour
// the Spec; [Host.Plan] does.
func (s Spec) Validate() error {
	f := &fields{}
	f.name(s.Name)
	if s.Hostname != "" {
		f.domain("hostname", s.Hostname)
	}
	f.key(s.Key)
	switch {
	case s.Image != "":
		f.image("image", s.Image)
	case s.Native == nil:
		f.add("image", "", "is required: the name of an image in the host's store")
	}
	f.cpu(s.CPU)
	f.pin(s.CPU.Pin)
	f.memory(s.Memory)
	f.disks(s.Disks)
	f.nics(s.NICs)
	f.dns(s.DNS)
	f.access(s.Access)
	if n := len(s.UserData); n > maxUserData {
		f.add("userData", "", "has %d bytes; at most %d are accepted", n, maxUserData)
	}
	f.labels(s.Labels)
	if r := s.Needs.Residency; r != "" && !nationRE.MatchString(r) {
		f.add("needs.residency", r, "is not an ISO 3166-1 code of two capital letters")
	}
	f.native(s.Native)
	return errors.Join(f.errs...)
}

func (f *fields) name(name string) {
	switch {
	case name == "":
		f.add("name", "", "is required: 1 to 63 characters of a-z, 0-9 and hyphen")
	case !labelRE.MatchString(name):
		f.add("name", name, "is not a name: it takes 1 to 63 characters of a-z, 0-9 and hyphen, and begins and ends with a letter or digit")
	case !strings.ContainsFunc(name, unicode.IsLetter):
		f.add("name", name, "is not a name: it takes at least one letter, so that no tool mistakes it for a number")
	}
}

func (f *fields) domain(path, name string) {
	if len(name) > 253 {
		f.add(path, name, "has %d characters; a host name has at most 253", len(name))
		return
	}
	for label := range strings.SplitSeq(name, ".") {
		if !hostRE.MatchString(label) {
			f.add(path, name, "is not a host name: labels of letters, digits and hyphens, joined by dots")
			return
		}
	}
}

func (f *fields) key(key string) {
	switch {
	case len(key) > maxKey:
		f.add("key", key, "has %d bytes; at most %d are accepted", len(key), maxKey)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		f.add("key", key, "holds control characters or is not UTF-8")
	}
}

func (f *fields) image(path, name string) {
	if !imageRE.MatchString(name) || strings.Contains(name, "..") {
		f.add(path, name, "is not an image's name: 1 to 63 characters of a-z, 0-9, dot, underscore and hyphen, that begins and ends with a letter or digit")
	}
}

func (f *fields) cpu(c CPU) {
	if c.Count < 0 || c.Count > 1024 {
		f.add("cpu.count", fmt.Sprint(c.Count), "is not a number of vCPUs from 1 to 1024")
	}
	if math.IsNaN(c.Limit) || c.Limit < 0 || c.Limit > 1024 || c.Limit > 0 && c.Limit < 0.01 {
		f.add("cpu.limit", fmt.Sprint(c.Limit), "is not a number of cores from 0.01 to 1024")
	}
	if c.Weight < 0 || c.Weight > 10000 {
		f.add("cpu.weight", fmt.Sprint(c.Weight), "is not a weight from 1 to 10000 (100 is an ordinary guest)")
	}
}

// pin bounds the numbers by the most processors that Linux can have (NR_CPUS).
func (f *fields) pin(pin []int) {
	if len(pin) > maxPin {
		f.add("cpu.pin", fmt.Sprint(len(pin)), "are too many; at most %d are accepted", maxPin)
		return
	}
	seen := map[int]bool{}
	for i, n := range pin {
		at := fmt.Sprintf("cpu.pin[%d]", i)
		if n < 0 || n > 8191 {
			f.add(at, fmt.Sprint(n), "is not the number of a processor, from 0 to 8191")
		} else if seen[n] {
			f.add(at, fmt.Sprint(n), "comes twice")
		}
		seen[n] = true
	}
}

func (f *fields) memory(m Memory) {
	if m.Size != 0 && (m.Size < minMemory || m.Size > maxAmount) {
		f.add("memory.size", m.Size.String(), "is not from %s to %s", minMemory, maxAmount)
	} else if m.Size%KiB != 0 {
		f.add("memory.size", m.Size.String(), "is not a whole number of KiB")
	}
	if m.Swap > maxAmount {
		f.add("memory.swap", m.Swap.String(), "is more than %s", maxAmount)
	}
}

func (f *fields) disks(disks []Disk) {
	if len(disks) > maxDisks {
		f.add("disks", fmt.Sprint(len(disks)), "disks are too many; at most %d are accepted", maxDisks)
		return
	}
	for i, d := range disks {
		at := fmt.Sprintf("disks[%d].", i)
		switch {
		case d.Size == 0 && i > 0:
			f.add(at+"size", "", "is required: only the root disk has the image's size by default")
		case d.Size != 0 && d.Size < MiB || d.Size > maxAmount:
			f.add(at+"size", d.Size.String(), "is not from %s to %s", MiB, maxAmount)
		case d.Size%512 != 0:
			f.add(at+"size", d.Size.String(), "is not a multiple of 512 bytes")
		}
		if d.BPS > maxAmount {
			f.add(at+"bps", d.BPS.String(), "is more than %s", maxAmount)
		}
		if d.IOPS > 1e12 {
			f.add(at+"iops", fmt.Sprint(d.IOPS), "is more than 10^12")
		}
	}
}

func (f *fields) dns(d DNS) {
	f.most("dns.servers", len(d.Servers), maxServers)
	f.most("dns.search", len(d.Search), maxSearch)
	for i, a := range d.Servers {
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() || a.Zone() != "" {
			f.add(fmt.Sprintf("dns.servers[%d]", i), a.String(), "is not the address of a server")
		}
	}
	for i, name := range d.Search {
		f.domain(fmt.Sprintf("dns.search[%d]", i), name)
	}
}

// access never shows values: all of them are secret.
func (f *fields) access(a Access) {
	if a.User != "" && !userRE.MatchString(a.User) {
		f.add("access.user", a.User, "is not a user name: a-z, 0-9, underscore and hyphen, at most 32")
	}
	f.most("access.authorizedKeys", len(a.AuthorizedKeys), maxKeys)
	for i, k := range a.AuthorizedKeys {
		if problem := keyProblem(k); problem != "" {
			f.add(fmt.Sprintf("access.authorizedKeys[%d]", i), "", "%s", problem)
		}
	}
	if a.PasswordHash != "" && !hashRE.MatchString(a.PasswordHash) {
		f.add("access.passwordHash", "", "is not a crypt(5) string such as $6$salt$hash; plain passwords are refused")
	}
}

func (f *fields) labels(labels map[string]string) {
	total := 0
	for _, name := range slices.Sorted(mapKeys(labels)) {
		value := labels[name]
		total += len(name) + len(value)
		if !tagRE.MatchString(name) {
			f.add("labels", name, "is not a label's name: 1 to 63 characters of letters, digits, dot, underscore, slash and hyphen")
		} else if !utf8.ValidString(value) {
			f.add("labels."+name, value, "is not UTF-8")
		}
	}
	if total > maxLabels {
		f.add("labels", "", "hold %d bytes; at most %d are accepted", total, maxLabels)
	}
}

func (f *fields) native(n Native) {
	if n == nil {
		return
	}
	for _, e := range n.Validate() {
		f.errs = append(f.errs, &FieldError{Path: "native." + e.Path, Value: clip(e.Value), Problem: e.Problem})
	}
	if _, err := json.Marshal(n); err != nil {
		f.add("native", "", "cannot be encoded: %v", err)
	}
}
