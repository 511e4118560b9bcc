package kvmrig

// bootDisk is a disk with only a boot sector. It is just large enough for BIOS to find
// a cylinder on it.
func bootDisk(code ...byte) []byte {
	disk := make([]byte, 1<<20)
	copy(disk, code)
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

// HaltImage is a disk whose boot sector stops the processor: a guest that costs its
// host nothing.
func HaltImage() []byte {
	return bootDisk(0xfa, 0xf4, 0xeb, 0xfd)[:64<<10] // cli; hlt; jump back to it
}

// BriefDisk is a disk whose boot sector says BOOTED-OK on the serial console and, when
// the power button is pressed, powers off: what the tiny guest does after some seconds
// of emulation, this one does at once. The ports are those of the machine q35.
func BriefDisk() []byte {
	code := []byte{
		0x31, 0xc0, 0x8e, 0xd8, // xor ax, ax; mov ds, ax
		0xbe, 0x39, 0x7c, 0xfc, // mov si, 0x7c00 + the length of this; cld
		0xac, 0x84, 0xc0, 0x74, 0x11, // next: lodsb; test al, al; jz button
		0x88, 0xc3, 0xba, 0xfd, 0x03, // mov bl, al; mov dx, 0x3fd (COM1, line status)
		0xec, 0xa8, 0x20, 0x74, 0xfb, // wait: in al, dx; test al, 0x20 (can send); jz wait
		0x88, 0xd8, 0xb2, 0xf8, 0xee, // mov al, bl; mov dl, 0xf8 (COM1, data); out dx, al
		0xeb, 0xea, // jmp next
		0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef, // button: mov dx, 0x602 (PM1 enable); mov ax, 0x100 (power button); out dx, ax
		0xfb, 0xf4, // sti; idle: hlt, until the clock ticks
		0xba, 0x00, 0x06, 0xed, // mov dx, 0x600 (PM1 status); in ax, dx
		0xf6, 0xc4, 0x01, 0x74, 0xf6, // test ah, 1; jz idle
		0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, // mov dx, 0x604 (PM1 control); mov ax, 0x2000 (sleep, as type 0: off); out dx, ax
		0xeb, 0xfe, // jmp to itself
	}
	return bootDisk(append(code, "BOOTED-OK\r\n"...)...)
}
