package provisiontest

import (
	"context"
	"io"

	"github.com/guestforge/provision"
)

// haunted does not kill what it started.
type haunted struct{ *Backend }

func (b haunted) Exec(ctx context.Context, id provision.ID, argv []string, opts *provision.ExecOptions) (provision.ExecResult, error) {
	r, err := b.Backend.Exec(ctx, id, argv, opts)
	if ctx.Err() != nil {
		b.began(id, argv[0])
	}
	return r, err
}

// crowded lets everybody read one console.
type crowded struct{ *Backend }

func (b crowded) OpenConsole(ctx context.Context, id provision.ID, _ provision.ConsoleOptions) (io.ReadWriteCloser, error) {
	b.live.Lock()
	delete(b.terminals, id)
	b.live.Unlock()
	return b.Backend.OpenConsole(ctx, id, provision.ConsoleOptions{})
}
