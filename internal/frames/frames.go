//go:build linux

// Package frames has what a hostile guest may put on the wire, for tests of what
// keeps it from doing so: frames of each kind, with who is to see them, and packet
// sockets to send and see them by.
package frames

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
)

// hw is an Ethernet address.
type hw = [6]byte

// NeighbourMAC is that of another customer's guest.
var NeighbourMAC = hw{0x52, 0x54, 0, 0xee, 0xee, 0xee}

// Unknown is a frame of a protocol that nobody speaks, to everybody.
func Unknown(from [6]byte, payload int) []byte {
	return eth(broadcast, from, 0x88b5, make([]byte, payload))
}

var broadcast = hw{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func be(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

func ip(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

func eth(dst, src hw, kind uint16, payload ...[]byte) []byte {
	return slices.Concat(append([][]byte{dst[:], src[:], be(kind)}, payload...)...)
}

// arp is the payload of an ARP or RARP frame.
func arp(op uint16, fromMAC hw, from string, toMAC hw, to string) []byte {
	return slices.Concat([]byte{0, 1, 8, 0, 6, 4}, be(op), fromMAC[:], ip(from), toMAC[:], ip(to))
}

func checksum(parts ...[]byte) []byte {
	b, sum := slices.Concat(parts...), uint32(0)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return be(^uint16(sum))
}

func ipv4(src, dst string, protocol byte, fragment uint16, payload []byte) []byte {
	head := slices.Concat([]byte{0x45, 0}, be(uint16(20+len(payload))), be(7), be(fragment), []byte{64, protocol, 0, 0}, ip(src), ip(dst))
	copy(head[10:], checksum(head))
	return append(head, payload...)
}

func udp(from, to uint16) []byte {
	data := bytes.Repeat([]byte{0}, 32)
	return slices.Concat(be(from), be(to), be(uint16(8+len(data))), be(0), data)
}

func ipv6(src, dst string, next byte, payload ...[]byte) []byte {
	body := slices.Concat(payload...)
	return slices.Concat([]byte{0x60, 0, 0, 0}, be(uint16(len(body))), []byte{next, 255}, ip(src), ip(dst), body)
}

const (
	nextHop, nextFragment, nextICMP, nextOptions, nextTCP, nextUDP = 0, 44, 58, 60, 6, 17
)

// icmp6 has its checksum, with the pseudo-header of those addresses.
func icmp6(src, dst string, kind byte, body ...[]byte) []byte {
	msg := slices.Concat(append([][]byte{{kind, 0, 0, 0}}, body...)...)
	copy(msg[2:], checksum(ip(src), ip(dst), []byte{0, 0}, be(uint16(len(msg))), []byte{0, 0, 0, nextICMP}, msg))
	return msg
}

// options is a header of hop-by-hop or destination options, of padding.
func options(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }

// fragment is a fragment header; the offset counts units of eight bytes.
func fragment(next byte, offset uint16, more bool) []byte {
	v := offset << 3
	if more {
		v |= 1
	}
	return slices.Concat([]byte{next, 0}, be(v), []byte{0, 0, 0, 9})
}

// Messages of neighbour discovery (RFC 4861), with the sender's MAC in an option.
func solicitation(src, dst, target string, mac hw) []byte {
	body := [][]byte{{0, 0, 0, 0}, ip(target)}
	if src != "::" {
		body = append(body, []byte{1, 1}, mac[:])
	}
	return icmp6(src, dst, 135, body...)
}

func advertisement(src, dst, target string, mac hw) []byte {
	return icmp6(src, dst, 136, []byte{0x20, 0, 0, 0}, ip(target), []byte{2, 1}, mac[:])
}

func routerAdvertisement(src string, mac hw) []byte {
	return icmp6(src, "ff02::1", 134, []byte{64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{1, 1}, mac[:])
}
