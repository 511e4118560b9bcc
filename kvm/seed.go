package kvm

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem/fat12"

	"github.com/guestforge/provision"
)

const seedLabel = "CIDATA"

// seed is the NoCloud data of a guest: a FAT file system labelled CIDATA, as
// https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html says.
// It is made in memory, so that no secret is ever in a file of ours, and is a
// read-only VirtIO disk: kernels for clouds have no driver for others.
func seed(id provision.ID, s *provision.Spec) ([]byte, error) {
	files := []struct {
		name string
		data []byte
	}{
		{"meta-data", metaData(id, s)},
		{"user-data", userData(s)},
		{"vendor-data", vendorData(s)},
		{"network-config", networkConfig(s)},
	}
	size := 0
	for _, f := range files {
		size += len(f.data)
	}
	// FAT12 and its directory take 64 KiB at the most.
	mem := &memory{data: make([]byte, (size+64<<10+1<<20-1)>>20<<20)}
	vol, err := fat12.Create(mem, int64(len(mem.data)), 0, 512, seedLabel, true)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	for _, f := range files {
		if err := writeFile(vol, f.name, f.data); err != nil {
			return nil, fmt.Errorf("seed: %s: %w", f.name, err)
		}
	}
	if err := setTime(vol, seedLabel); err != nil {
		return nil, fmt.Errorf("seed: label: %w", err)
	}
	return mem.data, nil
}

func writeFile(vol *fat12.FileSystem, name string, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	f, err := vol.OpenFile("/"+name, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return setTime(vol, name)
}

// setTime gives an entry the first time that FAT has: the same Spec gives the
// same bytes.
func setTime(vol *fat12.FileSystem, name string) error {
	first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	return vol.Chtimes("/"+name, first, first, first)
}

// metaData: a new instance-id makes cloud-init run again. Without quotes, YAML
// takes host names such as "on", "1e3" and "2026-11-22" for other types.
func metaData(id provision.ID, s *provision.Spec) []byte {
	return fmt.Appendf(nil, "instance-id: %q\nlocal-hostname: %q\n", id, s.Hostname)
}

func userData(s *provision.Spec) []byte {
	if len(s.UserData) == 0 {
		return []byte("#cloud-config\n{}\n")
	}
	return s.UserData
}

// vendorData carries Spec.Access, and the domain of a host name, beside the caller's user data, which has
// precedence over it. JSON is YAML. To cloud-init 22, keys of null are a crash;
// "passwd" is nothing for a user that the image has, unlike "hashed_passwd"; and
// "password" is a plain one, whenever its hash is none of the older kinds. Of a host name
// with dots the kernel gets the first part alone, and /etc/hosts must know the rest, or
// nobody in the guest does.
func vendorData(s *provision.Spec) []byte {
	a := s.Access
	config, user := map[string]any{}, map[string]any{}
	if strings.Contains(s.Hostname, ".") {
		config["manage_etc_hosts"] = "localhost"
	}
	if a.User == "" && a.PasswordHash == "" && len(a.AuthorizedKeys) == 0 && len(config) == 0 {
		return nil
	}
	if a.PasswordHash != "" {
		user["hashed_passwd"], user["lock_passwd"] = a.PasswordHash, false
	}
	keys := config // those of the default user
	if a.User != "" {
		user["name"] = a.User
		keys = user
	}
	if len(a.AuthorizedKeys) > 0 {
		keys["ssh_authorized_keys"] = a.AuthorizedKeys
	}
	switch a.User {
	case "":
		if len(user) > 0 {
			config["user"] = user
		}
	case "root":
		config["users"], config["disable_root"] = []any{user}, false
	default:
		user["sudo"], user["shell"] = "ALL=(ALL) NOPASSWD:ALL", "/bin/bash"
		config["users"] = []any{user}
	}
	text, err := json.Marshal(config)
	if err != nil {
		panic("kvm: " + err.Error()) // maps of strings have a JSON form
	}
	return append(append([]byte("#cloud-config\n"), text...), '\n')
}

// networkConfig is netplan's version 2, NICs matched by their MAC. Without any
// address the image's own default, usually DHCP, stands; where DNS is all that
// was asked for, the first NIC gets that default in words, to carry it.
func networkConfig(s *provision.Spec) []byte {
	hasDNS := len(s.DNS.Servers)+len(s.DNS.Search) > 0
	static := slices.ContainsFunc(s.NICs, func(n provision.NIC) bool { return len(n.Addresses) > 0 })
	var b strings.Builder
	for i, n := range s.NICs {
		byDHCP := hasDNS && !static && i == 0
		if len(n.Addresses) == 0 && !byDHCP {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("version: 2\nethernets:\n")
		}
		fmt.Fprintf(&b, "  nic%d:\n    match: {macaddress: %q}\n", i, n.MAC)
		if byDHCP {
			b.WriteString("    dhcp4: true\n")
		} else {
			fmt.Fprintf(&b, "    addresses: [%s]\n", quoted(n.Addresses))
		}
		if n.MTU != 0 {
			fmt.Fprintf(&b, "    mtu: %d\n", n.MTU)
		}
		if len(n.Gateways) > 0 {
			b.WriteString("    routes:\n")
		}
		for _, g := range n.Gateways {
			b.WriteString("      - " + route(n, g) + "\n")
		}
		if hasDNS {
			fmt.Fprintf(&b, "    nameservers: {addresses: [%s], search: [%s]}\n", quoted(s.DNS.Servers), quoted(s.DNS.Search))
		}
	}
	return []byte(b.String())
}

func quoted[T any](list []T) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return strings.Join(parts, ", ")
}

// memory is a file in memory, as go-diskfs wants it.
type memory struct {
	data []byte
	at   int64
}

var _ backend.Storage = (*memory)(nil)

func (m *memory) Stat() (fs.FileInfo, error)              { return nil, fs.ErrInvalid }
func (m *memory) Sys() (*os.File, error)                  { return nil, backend.ErrNotSuitable }
func (m *memory) Writable() (backend.WritableFile, error) { return m, nil }
func (m *memory) Path() string                            { return "" }
func (m *memory) Close() error                            { return nil }

func (m *memory) Read(p []byte) (int, error) {
	n, err := m.ReadAt(p, m.at)
	m.at += int64(n)
	return n, err
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(p, m.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m.data)) {
		return 0, io.ErrShortWrite
	}
	return copy(m.data[off:], p), nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += m.at
	case io.SeekEnd:
		offset += int64(len(m.data))
	}
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	m.at = offset
	return offset, nil
}
