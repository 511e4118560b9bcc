package unpack

import (
	"context"
	"io"

	"github.com/guestforge/provision/internal/ctxerr"
)

// ahead decodes in a goroutine of its own, a few blocks before what is asked
// for, so that decompressing and writing take two processors.
type ahead struct {
	ctx    context.Context
	full   chan block
	empty  chan []byte
	stop   chan struct{}
	done   chan struct{}
	now    block // being read
	unread []byte
}

type block struct {
	data []byte
	err  error // comes after data
}

const (
	blockSize = 256 << 10
	blocks    = 4
)

func readAhead(ctx context.Context, r io.Reader) *ahead {
	a := &ahead{ctx: ctx, full: make(chan block, blocks), empty: make(chan []byte, blocks),
		stop: make(chan struct{}), done: make(chan struct{})}
	for range blocks {
		a.empty <- make([]byte, blockSize)
	}
	go a.fill(r)
	return a
}

func (a *ahead) fill(r io.Reader) {
	defer close(a.done)
	for {
		var b block
		select {
		case <-a.stop:
			return
		case b.data = <-a.empty:
		}
		n := 0
		for n < len(b.data) && b.err == nil {
			var m int
			m, b.err = r.Read(b.data[n:])
			n += m
		}
		b.data = b.data[:n]
		a.full <- b // never waits: there are no more blocks than places
		if b.err != nil {
			return
		}
	}
}

// Read returns the context's error as soon as that ends, even if the reader hangs.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.unread) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.data != nil {
			a.empty <- a.now.data[:blockSize]
			a.now.data = nil
		}
		select {
		case <-a.ctx.Done():
			return 0, ctxerr.Of(a.ctx)
		case a.now = <-a.full:
			a.unread = a.now.data
		}
	}
	n := copy(p, a.unread)
	a.unread = a.unread[n:]
	return n, nil
}

// close waits for the goroutine, and with it for a Read of the caller's reader.
func (a *ahead) close() {
	close(a.stop)
	<-a.done
}
