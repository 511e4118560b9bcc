package kvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// Framing of libvirt's RPC, https://libvirt.org/kbase/internals/rpc.html: a
// length, which counts itself, and six words of header.
const (
	headerLen = 28
	maxPacket = 32<<20 + headerLen // VIR_NET_MESSAGE_MAX
	maxHeld   = 8 << 20
	procOpen  = 1 // REMOTE_PROC_CONNECT_OPEN
	typReply  = 1
	typStream = 3
	statusOK  = 0 // VIR_NET_OK
	statusGo  = 2 // VIR_NET_CONTINUE
)

// wire is the socket to libvirtd. It keeps five faults from harm that the RPC
// library, which reads from it, and libvirtd have with one another:
//
//   - Now and then libvirtd sends the first data of a download before the reply
//     to the call. The library takes the first packet for the reply, and the
//     data is lost in silence. Packets of a stream are therefore held back until
//     the reply has passed.
//   - A stream can be ended by two packets. The library takes the first for the
//     end, and when the second comes at the wrong moment, it waits for itself
//     for ever. What follows the end of a stream is therefore dropped.
//   - The library believes any length that a peer sends.
//   - Its own mark of a lost connection stays unset when the peer goes away
//     during the greeting. When it goes away just after, the library writes and
//     reads that mark at the same time: the end is told when the greeting is over.
//
// It serves one call at a time.
type wire struct {
	net.Conn
	pack  bool         // replies with statistics: see packStats
	ended atomic.Bool  // a Read has failed: the connection is of no use
	sent  atomic.Int64 // bytes that went out

	greeted bool          // the reply to the last call of the greeting has passed
	settled chan struct{} // closed when the library has done with the greeting; nil: it has
	out     []byte        // packets to pass on
	held    []packet
	holding int    // bytes in held
	replied uint32 // serial of the last call that was answered
	over    uint32 // serial of the last stream that has ended
}

type packet struct {
	text                      []byte // header included
	proc, typ, serial, status uint32
}

// Write counts what goes out: a call of which nothing did cannot have happened.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.sent.Add(int64(n))
	return n, err
}

// Read passes packets on.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.out) == 0 {
		pkt, err := w.receive()
		if err == nil {
			err = w.sort(pkt)
		}
		if err != nil {
			w.ended.Store(true)
			if w.greeted && w.settled != nil {
				<-w.settled
			}
			return 0, err
		}
	}
	n := copy(p, w.out)
	w.out = w.out[n:]
	return n, nil
}

func (w *wire) receive() (packet, error) {
	var head [headerLen]byte
	if _, err := io.ReadFull(w.Conn, head[:]); err != nil {
		return packet{}, err
	}
	word := func(i int) uint32 { return binary.BigEndian.Uint32(head[4*i:]) }
	size := word(0)
	if size < headerLen || size > maxPacket {
		return packet{}, fmt.Errorf("libvirtd sent a packet of %d bytes: %w", size, io.ErrUnexpectedEOF)
	}
	pkt := packet{text: make([]byte, size), proc: word(3), typ: word(4), serial: word(5), status: word(6)}
	copy(pkt.text, head[:])
	_, err := io.ReadFull(w.Conn, pkt.text[headerLen:])
	if err == nil && w.pack && pkt.typ == typReply && pkt.status == statusOK && word(1) == remoteProgram && word(3) == procAllStats {
		pkt.text = append(pkt.text[:headerLen:headerLen], packStats(pkt.text[headerLen:])...)
		binary.BigEndian.PutUint32(pkt.text, uint32(len(pkt.text)))
	}
	return pkt, err
}

// sort passes a packet on, holds it back or drops it.
func (w *wire) sort(pkt packet) error {
	switch {
	case pkt.typ == typStream && pkt.serial != w.replied:
		w.held = append(w.held, pkt)
		if w.holding += len(pkt.text); w.holding > maxHeld {
			return errors.New("libvirtd sends a stream without a reply to its call")
		}
	case pkt.typ == typStream:
		w.stream(pkt)
	default:
		w.out = append(w.out, pkt.text...)
		if pkt.typ != typReply {
			break
		}
		w.replied = pkt.serial
		w.greeted = w.greeted || pkt.proc == procOpen && pkt.status == statusOK
		for _, h := range w.held {
			if h.serial == pkt.serial {
				w.stream(h)
			}
		}
		w.held, w.holding = nil, 0
	}
	return nil
}

func (w *wire) stream(pkt packet) {
	if pkt.serial == w.over {
		return
	}
	w.out = append(w.out, pkt.text...)
	if pkt.status != statusGo || len(pkt.text) == headerLen {
		w.over = pkt.serial
	}
}
