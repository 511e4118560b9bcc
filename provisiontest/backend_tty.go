package provisiontest

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/guestforge/provision"
)

// tty is the terminal of a process. It echoes nothing.
type tty struct {
	mu   sync.Mutex
	size provision.TerminalSize
}

// attach gives a process the terminal that it is to have. detach ends that, and
// what reads the Stdin.
func (p *process) attach() (detach func()) {
	t := p.opts.TTY
	if t == nil {
		return func() {}
	}
	p.tty = &tty{size: t.Size}
	p.opts.Stdout = crlf{p.opts.Stdout}
	p.opts.Stderr = p.opts.Stdout
	ended := make(chan struct{})
	var receiver sync.WaitGroup
	receiver.Go(func() {
		for sizes := t.Sizes; ; {
			select {
			case size, more := <-sizes:
				if !more {
					sizes = nil // blocks
					continue
				}
				p.tty.mu.Lock()
				p.tty.size = size
				p.tty.mu.Unlock()
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		receiver.Wait()
		if c, ok := p.opts.Stdin.(io.Closer); ok {
			_ = c.Close() // what it says is of no interest any more
		}
	}
}

// crlf ends lines as terminals do.
type crlf struct{ io.Writer }

func (w crlf) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, strings.ReplaceAll(string(text), "\n", "\r\n")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// stty tells the size of the terminal.
func (p *process) stty() (int, error) {
	if p.tty == nil {
		_, err := fmt.Fprintln(p.opts.Stderr, "stty: standard input: Inappropriate ioctl for device")
		return 1, err
	}
	p.tty.mu.Lock()
	defer p.tty.mu.Unlock()
	return p.say(fmt.Sprintf("%d %d", p.tty.size.Rows, p.tty.size.Cols))
}

// shell reads a line of its input and runs a program, if that is what it is to do.
func (p *process) shell() (int, error) {
	program, ok := strings.CutPrefix(p.argv[len(p.argv)-1], "read line; ")
	name, _, _ := strings.Cut(program, " ")
	run := programs()[name]
	if !ok || run == nil {
		return 127, nil
	}
	if _, err := bufio.NewReader(p.opts.Stdin).ReadString('\n'); err != nil {
		return 1, nil
	}
	return run(p)
}
