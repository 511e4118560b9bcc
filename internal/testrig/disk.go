//go:build linux

package testrig

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

const (
	mbrPath = "/usr/lib/syslinux/mbr/mbr.bin"

	sector    = 512
	diskSize  = 48 << 20
	partStart = 1 << 20 // where the only partition begins
	partType  = 0x0e    // FAT16, LBA
)

// kernelOptions save time under emulation: clocks and mitigations are not probed,
// self-tests and the keyboard controller skipped.
const kernelOptions = "console=ttyS0,115200 quiet loglevel=3 tsc=reliable no_timer_check mitigations=off nokaslr cryptomgr.notests " +
	"i8042.noaux i8042.nokbd i8042.nopnp random.trust_cpu=on rcupdate.rcu_expedited=1"

// bootConfig is what the boot loader reads, with BIOS.
const bootConfig = `default guest
prompt 0
timeout 1
label guest
  kernel /vmlinuz
  initrd /initrd
  append ` + kernelOptions + "\n"

// startupScript is what the shell of UEFI firmware runs where nothing else can be
// booted; the kernel is a program to it. That takes a guest of 256 MiB.
const startupScript = `vmlinuz initrd=\initrd ` + kernelOptions + "\r\n"

// buildDisk writes a raw disk with one bootable FAT partition. It works on
// the file alone: nothing is mounted.
func buildDisk(ctx context.Context, path, kernel string, initrd []byte) error {
	if err := writeMBR(path); err != nil {
		return err
	}
	initrdPath, confPath, startupPath := path+".initrd", path+".conf", path+".nsh"
	if err := os.WriteFile(initrdPath, initrd, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(confPath, []byte(bootConfig), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(startupPath, []byte(startupScript), 0o600); err != nil {
		return err
	}
	start := strconv.Itoa(partStart / sector)
	part := fmt.Sprintf("%s@@%d", path, partStart)
	size := strconv.Itoa((diskSize - partStart) >> 10) // in KiB
	steps := [][]string{
		{"mkfs.vfat", "-F", "16", "-n", "GUEST", "-h", start, "--offset", start, path, size},
		{"syslinux", "--offset", strconv.Itoa(partStart), "--install", path},
		{"mcopy", "-i", part, kernel, "::vmlinuz"},
		{"mcopy", "-i", part, initrdPath, "::initrd"},
		{"mcopy", "-i", part, confPath, "::syslinux.cfg"},
		{"mcopy", "-i", part, startupPath, "::startup.nsh"},
	}
	for _, step := range steps {
		if _, err := run(ctx, step[0], step[1:]...); err != nil {
			return fmt.Errorf("disk %s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

// writeMBR makes an empty disk with boot code and a partition table.
func writeMBR(path string) error {
	code, err := os.ReadFile(mbrPath)
	if err != nil {
		return err
	}
	if len(code) > 440 {
		return fmt.Errorf("%s has %d bytes, more than the 440 of a boot sector", mbrPath, len(code))
	}
	mbr := make([]byte, sector)
	copy(mbr, code)
	// The entry's six CHS bytes are filled with "use LBA".
	entry := []byte{0x80, 0xfe, 0xff, 0xff, partType, 0xfe, 0xff, 0xff}
	entry = binary.LittleEndian.AppendUint32(entry, partStart/sector)
	entry = binary.LittleEndian.AppendUint32(entry, (diskSize-partStart)/sector)
	copy(mbr[446:], entry)
	mbr[510], mbr[511] = 0x55, 0xaa
	if err := os.WriteFile(path, mbr, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, diskSize)
}
