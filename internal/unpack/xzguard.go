package unpack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// xzGuard passes an xz file through and refuses a block that asks for more
// memory than maxWindow: the decoder takes a dictionary of up to 4 GiB on the
// word of a block's header. It also sees where a file is cut off between blocks,
// which the decoder takes for the end. It follows the structure, not the data:
// sections 2 to 4 of the .xz file format 1.2.1, and the chunks of LZMA2 by their
// sizes. The decoder does not insist on those, so a file made for it can still
// show it a header that the guard takes for data; what that costs is address
// space, and memory only as it decompresses.
type xzGuard struct {
	r     *bufio.Reader
	pass  int64 // bytes that need no look
	next  func() error
	check int64 // bytes of the check after each block
	size  int64 // of the compressed data or of the index so far
	left  uint64
}

func newWindowGuard(r *bufio.Reader) *xzGuard {
	g := &xzGuard{r: r}
	g.next = g.stream
	return g
}

var errXz = errors.New("xz: structure is wrong")

func (g *xzGuard) Read(p []byte) (int, error) {
	for g.pass == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	n, err := g.r.Read(p[:min(int64(len(p)), g.pass)])
	g.pass -= int64(n)
	return n, err
}

// peek turns an end in the middle of something into an error.
func (g *xzGuard) peek(n int) ([]byte, error) {
	b, err := g.r.Peek(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (g *xzGuard) stream() error {
	if _, err := g.r.Peek(1); err != nil {
		return err
	}
	b, err := g.peek(4)
	if err != nil {
		return err
	}
	if bytes.Equal(b, make([]byte, 4)) { // padding between streams
		g.pass = 4
		return nil
	}
	if b, err = g.peek(12); err != nil {
		return err
	}
	if string(b[:6]) != "\xfd7zXZ\x00" || b[6] != 0 || b[7] > 15 {
		return fmt.Errorf("%w: no header of a stream", errXz)
	}
	sizes := [6]int64{0, 4, 8, 16, 32, 64}
	g.check = sizes[(b[7]+2)/3]
	g.pass, g.next = 12, g.block
	return nil
}

func (g *xzGuard) block() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	if b[0] == 0 {
		g.pass, g.size, g.next = 1, 1, g.index
		return nil
	}
	if b, err = g.peek((int(b[0]) + 1) * 4); err != nil {
		return err
	}
	g.pass, g.size, g.next = int64(len(b)), 0, g.chunk
	return checkBlock(b)
}

// checkBlock reads a block's header: size, flags, perhaps two sizes, and the
// filter, which is LZMA2 with one byte for the size of its dictionary.
func checkBlock(b []byte) error {
	flags, rest := b[1], b[2:]
	for _, optional := range []byte{0x40, 0x80} {
		if flags&optional != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return fmt.Errorf("%w: header of a block", errXz)
			}
			rest = rest[n:]
		}
	}
	switch {
	case flags&0x3f != 0 || len(rest) < 3 || rest[0] != 0x21:
		return fmt.Errorf("xz: filters other than LZMA2 are not supported: compress it without them (%w)", errors.ErrUnsupported)
	case rest[1] != 1 || rest[2] > 40:
		return fmt.Errorf("%w: properties of a filter", errXz)
	}
	if bits := uint64(rest[2]); (2|bits&1)<<(bits/2+11) > maxWindow {
		return fmt.Errorf("xz: %w: compress it with a smaller dictionary", limitError("bytes of memory to decompress", maxWindow))
	}
	return nil
}

func (g *xzGuard) chunk() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	switch control := b[0]; {
	case control == 0:
		g.size++
		g.pass, g.next = 1+padding(g.size)+g.check, g.block
		return nil
	case control <= 2: // not compressed
		if b, err = g.peek(3); err != nil {
			return err
		}
		g.pass = 3 + int64(binary.BigEndian.Uint16(b[1:])) + 1
	case control >= 0x80:
		if b, err = g.peek(5); err != nil {
			return err
		}
		g.pass = 5 + int64(binary.BigEndian.Uint16(b[3:])) + 1
		if control >= 0xc0 {
			g.pass++ // new properties
		}
	default:
		return fmt.Errorf("%w: chunk of LZMA2", errXz)
	}
	g.size += g.pass
	return nil
}

func (g *xzGuard) index() error {
	records, err := g.number()
	if records > 1<<32 {
		return fmt.Errorf("%w: index", errXz)
	}
	g.left, g.next = 2*records, g.record
	return err
}

func (g *xzGuard) record() error {
	if g.left == 0 {
		const crc, footer = 4, 12
		g.pass, g.next = padding(g.size)+crc+footer, g.stream
		return nil
	}
	g.left--
	_, err := g.number()
	return err
}

// number lets one number of the index pass.
func (g *xzGuard) number() (uint64, error) {
	b, err := g.r.Peek(binary.MaxVarintLen64)
	v, n := binary.Uvarint(b)
	if n <= 0 {
		if err != nil && err != io.EOF {
			return 0, err
		}
		return 0, fmt.Errorf("%w: index", errXz)
	}
	g.pass = int64(n)
	g.size += g.pass
	return v, nil
}

// padding is what is missing to a multiple of four.
func padding(n int64) int64 { return -n & 3 }
