//go:build linux

package testrig

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"syscall"
)

// rawSend is a program for the tiny guest, as busybox has none that sends frames
// of any kind: it reads a struct sockaddr_ll and a frame from its standard input
// (packet(7)) and sends that. It exits with 1 when the kernel refuses.
func rawSend() []byte {
	const base, buffer, entry = 0x400000, 0x410000, 64 + 56
	code := []byte{
		0x31, 0xc0, 0x31, 0xff, // xor eax, eax (read); xor edi, edi
		0xbe, 0x00, 0x00, 0x41, 0x00, // mov esi, buffer
		0xba, 0x00, 0x40, 0x00, 0x00, // mov edx, 16384
		0x0f, 0x05, 0x89, 0xc3, // syscall; mov ebx, eax
		0xb8, 0x29, 0x00, 0x00, 0x00, // mov eax, 41 (socket)
		0xbf, 0x11, 0x00, 0x00, 0x00, // mov edi, 17 (AF_PACKET)
		0xbe, 0x03, 0x00, 0x00, 0x00, // mov esi, 3 (SOCK_RAW)
		0x31, 0xd2, 0x0f, 0x05, // xor edx, edx; syscall
		0x89, 0xc7, // mov edi, eax
		0xbe, 0x14, 0x00, 0x41, 0x00, // mov esi, buffer + 20
		0x8d, 0x53, 0xec, // lea edx, [rbx - 20]
		0x45, 0x31, 0xd2, // xor r10d, r10d
		0x41, 0xb8, 0x00, 0x00, 0x41, 0x00, // mov r8d, buffer
		0x41, 0xb9, 0x14, 0x00, 0x00, 0x00, // mov r9d, 20
		0xb8, 0x2c, 0x00, 0x00, 0x00, 0x0f, 0x05, // mov eax, 44 (sendto); syscall
		0x89, 0xc7, 0xc1, 0xef, 0x1f, // mov edi, eax; shr edi, 31
		0xb8, 0x3c, 0x00, 0x00, 0x00, 0x0f, 0x05, // mov eax, 60 (exit); syscall
	}
	size := uint64(entry + len(code))
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, v := range []any{
		uint16(2), uint16(62), uint32(1), // an executable, x86-64
		uint64(base + entry), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		// The one segment: all of the file, and a buffer behind it.
		uint32(1), uint32(7), uint64(0), uint64(base), uint64(base), size, uint64(buffer + 0x4000 - base), uint64(0x1000),
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a Buffer takes all
	}
	b.Write(code)
	return b.Bytes()
}

// RunLine is what makes the tiny guest run a command when it is written to its
// console; the guest then writes RanLine and the command's status.
func RunLine(id int, command string) string { return fmt.Sprintf("RUN %d %s\n", id, command) }

// RanLine is what precedes the status of a command that has ended.
func RanLine(id int) string { return fmt.Sprintf("RAN %d ", id) }

// SendCommand sends a frame from the tiny guest by the interface of that index; eth0
// has 2.
func SendCommand(index int, frame []byte) string {
	return fmt.Sprintf("echo %x | xxd -r -p | rawsend", sendInput(index, frame))
}

func sendInput(index int, frame []byte) []byte {
	head := binary.LittleEndian.AppendUint16(nil, syscall.AF_PACKET)
	head = append(head, frame[12:14]...) // the protocol, as in the frame
	head = binary.LittleEndian.AppendUint32(head, uint32(index))
	head = append(head, 0, 0, 0, 6)
	head = append(head, net.HardwareAddr(frame[:6])...)
	return append(append(head, 0, 0), frame...)
}
