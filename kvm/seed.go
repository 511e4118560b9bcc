package kvm

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem/fat12"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/nocloud"
)

const seedLabel = "CIDATA"

// seed is the NoCloud data of a guest: a FAT file system labelled CIDATA, as
// https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html says.
// It is made in memory, so that no secret is ever in a file of ours, and is a
// read-only VirtIO disk: kernels for clouds have no driver for others.
func seed(id provision.ID, s *provision.Spec) ([]byte, error) {
	files := seedConfig(id, s).Files()
	size := 0
	for _, f := range files {
		size += len(f.Data)
	}
	// FAT12 and its directory take 64 KiB at the most.
	mem := &memory{data: make([]byte, (size+64<<10+1<<20-1)>>20<<20)}
	vol, err := fat12.Create(mem, int64(len(mem.data)), 0, 512, seedLabel, true)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	for _, f := range files {
		if err := writeFile(vol, f.Name, f.Data); err != nil {
			return nil, fmt.Errorf("seed: %s: %w", f.Name, err)
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

// seedConfig says a Spec in cloud-init's words.
func seedConfig(id provision.ID, s *provision.Spec) *nocloud.Config {
	c := &nocloud.Config{
		InstanceID: string(id), Hostname: s.Hostname, UserData: s.UserData,
		User: s.Access.User, AuthorizedKeys: s.Access.AuthorizedKeys, PasswordHash: s.Access.PasswordHash,
		Servers: s.DNS.Servers, Search: s.DNS.Search,
	}
	for _, n := range s.NICs {
		c.NICs = append(c.NICs, nocloud.NIC{MAC: n.MAC.String(), Addresses: n.Addresses, Gateways: n.Gateways, MTU: n.MTU})
	}
	return c
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
