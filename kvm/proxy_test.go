//go:build linux

package kvm_test

import (
	"encoding/binary"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Procedures of remote_protocol.x, by libvirt's own numbers.
const (
	procResume       = 28
	procSetAutostart = 29
	procSuspend      = 34
	procFeature      = 60
	procPoolRefresh  = 83
	procVolCreateXML = 93
	procVolDelete    = 94
	procLibVersion   = 157
	procFilterRead   = 177
	procFilterDefine = 180
	procCreate       = 196
	procUndefine     = 231
	procDestroy      = 234
	procSetMetadata  = 264
	procSubscribe    = 316
	procDefine       = 350
	procAgentCommand = 3 // of the QEMU program
)

const (
	typeMessage = 2
	typeReply   = 1
)

// proxy stands between clients and libvirtd, counts the calls, and does harm on
// demand.
type proxy struct {
	URI string

	mu       sync.Mutex
	calls    map[uint32]int
	cutAfter uint32 // loses the connection instead of the reply to this call, once
	deafTo   bool   // drops events
	down     bool   // takes no connections
	open     map[net.Conn]bool
	stuck    map[net.Conn]bool // takes calls, and passes none on
}

func startProxy(t *testing.T, driver, socket string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy")
	require.NoError(t, err)
	path := filepath.Join(dir, "s")
	p := &proxy{URI: driver + "?socket=" + path, calls: map[uint32]int{}, open: map[net.Conn]bool{}}
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", socket)
			if err != nil || !p.enter(client, server) {
				client.Close()
				continue
			}
			lost := make(chan uint32, 1)
			wg.Go(func() { p.copy(server, client, lost, true); server.Close(); client.Close() })
			wg.Go(func() { p.copy(client, server, lost, false); server.Close(); client.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut()
		wg.Wait()
		require.NoError(t, os.RemoveAll(dir))
	})
	return p
}

func (p *proxy) enter(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.down {
			c.Close()
		} else {
			p.open[c] = true
		}
	}
	return !p.down
}

// copy passes packets on: a length, which counts itself, six words, and the rest.
func (p *proxy) copy(to, from net.Conn, lost chan uint32, calls bool) {
	var head [28]byte
	for {
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return
		}
		word := func(i int) uint32 { return binary.BigEndian.Uint32(head[4*i:]) }
		rest := make([]byte, word(0)-28)
		if _, err := io.ReadFull(from, rest); err != nil {
			return
		}
		if calls && p.sticks(from) {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if calls && p.called(word(3)) {
			lost <- word(5)
		}
		if !calls && word(4) == typeReply {
			select {
			case serial := <-lost:
				if serial == word(5) {
					return
				}
				lost <- serial
			default:
			}
		}
		if !calls && word(4) == typeMessage && p.drops() {
			continue
		}
		if _, err := to.Write(append(head[:], rest...)); err != nil {
			return
		}
	}
}

func (p *proxy) called(proc uint32) (cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[proc]++
	if cut = proc == p.cutAfter; cut {
		p.cutAfter = 0
	}
	return cut
}

// stick lets the connections of now hang, and no others.
func (p *proxy) stick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck = maps.Clone(p.open)
}

func (p *proxy) sticks(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stuck[c]
}

func (p *proxy) drops() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deafTo
}

func (p *proxy) set(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

func (p *proxy) count(proc uint32) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[proc]
}

// cut loses all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
}
