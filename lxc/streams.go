//go:build linux

package lxc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
)

// What is done after the end of a program, whose streams others may hold open.
const (
	drainTime = 200 * time.Millisecond
	drainSize = 64 << 10 // as much as a pipe holds: see pipe(7)
)

// endOfInput is what is typed at the end of Stdin.
const endOfInput = "\x04"

// streams connect a program with who has asked for it.
type streams struct {
	opts   *provision.ExecOptions
	theirs [3]*os.File // of lxc-attach, which may be the same ones
	input  *os.File    // nil: none
	output [2]*os.File // nil: none
	host   *os.File    // the other end of the terminal that lxc-attach has; nil: none

	done    chan struct{} // closed when the program has ended
	ending  sync.Once
	reading sync.WaitGroup // of what it writes
	typing  sync.WaitGroup // of what it reads

	mu  sync.Mutex
	err error
	cut bool
}

func newStreams(opts *provision.ExecOptions) (s *streams, err error) {
	s = &streams{opts: opts, done: make(chan struct{})}
	defer func() {
		if err != nil {
			closeFiles(append(s.theirs[:], s.input, s.output[0], s.output[1], s.host)...)
		}
	}()
	if opts.TTY != nil {
		var slave *os.File
		s.host, slave, err = newPTY()
		s.theirs = [3]*os.File{slave, slave, slave}
		return s, err
	}
	if opts.Stdin == nil {
		s.theirs[0], err = os.Open(os.DevNull)
	} else {
		s.theirs[0], s.input, err = os.Pipe()
	}
	if err != nil {
		return s, err
	}
	for i, w := range []io.Writer{opts.Stdout, opts.Stderr} {
		switch {
		case w == nil:
			s.theirs[1+i], err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		case i == 1 && same(opts.Stdout, w): // it must not be written to from two sides
			s.theirs[2] = s.theirs[1]
		default:
			s.output[i], s.theirs[1+i], err = os.Pipe()
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// same says that two writers are one. Those that cannot be compared are two.
func same(a, b io.Writer) bool {
	return a != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

func closeFiles(list ...*os.File) {
	for _, f := range list {
		if f != nil {
			_ = f.Close() // nothing that was written is lost: these are pipes and terminals
		}
	}
}

// begin starts the copying, with lxc-attach stopped and the program about to run.
func (s *streams) begin(attach int) error {
	if t := s.opts.TTY; t != nil {
		master, err := takeTerminal(attach)
		if err != nil {
			return err
		}
		s.output[0], s.input = master, master
		if err := setSize(master, t.Size); err != nil {
			return err
		}
		s.typing.Go(func() { s.resize(master, t.Sizes) })
	}
	if s.opts.Stdin != nil {
		s.typing.Go(s.copyIn)
	}
	for i, w := range []io.Writer{s.opts.Stdout, s.opts.Stderr} {
		if s.output[i] != nil {
			s.reading.Go(func() { s.copyOut(s.output[i], w) })
		}
	}
	return nil
}

// drainTerminal waits until what the program wrote to a terminal has been passed on:
// lxc-attach, which goes on then, reads from it too.
func (s *streams) drainTerminal() {
	if s.opts.TTY != nil {
		s.drain()
	}
}

// drain waits until what the program wrote before its end has been passed on.
func (s *streams) drain() {
	s.ending.Do(func() { close(s.done) })
	for _, f := range s.output {
		if f != nil {
			_ = f.SetReadDeadline(time.Now().Add(drainTime)) // it can have one
		}
	}
	s.reading.Wait()
}

// end waits for what is still to be read, and ends all copying.
func (s *streams) end() {
	s.drain()
	closeFiles(s.input, s.output[0], s.output[1], s.host)
	if c, ok := s.opts.Stdin.(io.Closer); ok && s.opts.TTY != nil {
		_ = c.Close() // it is there to end a Read
	}
	s.typing.Wait()
}

func (s *streams) fail(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(s.err, fmt.Errorf("%s: %w", what, err))
}

// copyIn passes Stdin on, until the program does not take any more.
func (s *streams) copyIn() {
	buf := make([]byte, 32<<10)
	for {
		n, err := s.opts.Stdin.Read(buf)
		if s.over() {
			return
		}
		if n > 0 {
			if _, err := s.input.Write(buf[:n]); err != nil {
				return // it reads no more
			}
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			s.fail("standard input", err)
		}
		if s.opts.TTY == nil {
			closeFiles(s.input)
		} else {
			_, _ = s.input.WriteString(endOfInput) // a program that has ended needs none
		}
		return
	}
}

func (s *streams) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// copyOut passes on what the program writes. After its end, others that it has left
// behind may hold the stream: what they still write is bounded in time and size.
func (s *streams) copyOut(from *os.File, to io.Writer) {
	buf := make([]byte, 32<<10)
	silence := drainTime
	for left := drainSize; left > 0; {
		over := s.over()
		if over {
			_ = from.SetReadDeadline(time.Now().Add(silence)) // it can have one
		}
		n, err := from.Read(buf)
		if over {
			left -= n
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				s.fail("what the program wrote", err)
				closeFiles(from) // which tells the program
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && !over: // that of drain, which was set during the Read
			silence = time.Millisecond // all of it is over; only what is there is read
		default: // the end, which is EIO for a terminal, or silence
			return
		}
	}
	s.mu.Lock()
	s.cut = true
	s.mu.Unlock()
}

// resize gives the terminal the sizes that come, until the program has ended.
func (s *streams) resize(master *os.File, sizes <-chan provision.TerminalSize) {
	for sizes != nil {
		select {
		case size, ok := <-sizes:
			if !ok {
				return
			}
			if err := setSize(master, size); err != nil && !s.over() {
				s.fail("size of the terminal", err)
			}
		case <-s.done:
			return
		}
	}
}

// result says how a program ended whose streams have ended too.
func (s *streams) result(status unix.WaitStatus) (provision.ExecResult, error) {
	r := provision.ExecResult{Truncated: s.cut}
	if status.Signaled() {
		r.Signal = int(status.Signal())
	} else {
		r.Code = status.ExitStatus()
	}
	if s.err != nil {
		return r, fmt.Errorf("the program ended (%s): %w", r, s.err)
	}
	return r, nil
}
