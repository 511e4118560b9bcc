package provision

import (
	"context"
	"io"
)

// ConsoleOptions of [Guest.Console].
type ConsoleOptions struct {
	// Force disconnects who is connected by this Host, whose Read then fails with
	// [ErrBusy]. Whether it disconnects other programs too is the backend's affair
	// (kvm does not).
	Force bool
}

// Console connects to the serial console of a guest that is on: Read returns what
// the guest writes from now on (see [Guest.ConsoleLog] for what it wrote before),
// and Write is what is typed. It is the same console for all: one user at a time,
// and who comes while somebody is connected gets [ErrBusy]. opts may be nil.
//
// The context bounds the opening alone. The caller must Close the console, which
// ends a Read or Write that is under way with [io/fs.ErrClosed]; Close may be called
// twice and at any time, and one goroutine may read while another writes. Read
// returns io.EOF when the guest went off, and [ErrUnavailable] when the hypervisor
// did. A reader that is slow loses output, and is told so in the middle of it:
// "[N bytes lost]" on a line of its own. Bytes are the tenant's: terminals should
// not see them as they are.
func (g *Guest) Console(ctx context.Context, opts *ConsoleOptions) (io.ReadWriteCloser, error) {
	var o ConsoleOptions
	if opts != nil {
		o = *opts
	}
	c, err := g.console(ctx, o)
	return c, g.wrap("open the console of", err)
}

func (g *Guest) console(ctx context.Context, o ConsoleOptions) (io.ReadWriteCloser, error) {
	opener, err := need[ConsoleOpener](g.host, FeatureConsole)
	if err != nil {
		return nil, err
	}
	if err := g.inside(ctx, "open the console of", State.Live); err != nil {
		return nil, err
	}
	var c io.ReadWriteCloser
	err = g.call(ctx, "open console", func(ctx context.Context) (err error) {
		c, err = opener.OpenConsole(ctx, g.id, o)
		return err
	})
	return c, err
}
