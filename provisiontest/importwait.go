package provisiontest

import (
	"bytes"
	"context"
	"io"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// imageReleased: a backend that makes no full copies has nothing to show here.
func (e *env) imageReleased() {
	img, err := e.imported(e.Host, "a", provision.ImportOptions{})
	require.NoError(e.t, err)
	if e.Copied == nil {
		require.NoError(e.t, e.RemoveImage(e.ctx, img.Name))
		return
	}
	spec := e.spec("stands")
	spec.Image = img.Name
	stands := e.make(spec)
	free := e.make(e.Copied(e.t, e.machine, e.name("free"), img.Name))
	require.ErrorIs(e.t, e.RemoveImage(e.ctx, img.Name), provision.ErrState)
	e.delete(stands)
	before := e.status(free)
	require.NoError(e.t, e.RemoveImage(e.ctx, img.Name))
	require.False(e.t, e.hasImage(img.Name))
	require.Empty(e.t, diff(before, e.status(free)))
	require.NoError(e.t, free.Start(e.ctx, nil), "it does without the image")
	e.delete(free)
}

// slowImport begins an import on a Host of its own, as another process would. It
// is half-way when this returns, and goes on when resume is called.
func (e *env) slowImport(suffix string) (resume func(), done chan error) {
	content, format := e.Image(e.t, e.machine)
	h := e.open(nil)
	begun, goOn := make(chan struct{}), make(chan struct{})
	body := io.MultiReader(bytes.NewReader(content[:len(content)/2]), readerFunc(func([]byte) (int, error) {
		close(begun)
		<-goOn
		return 0, io.EOF
	}), bytes.NewReader(content[len(content)/2:]))
	done = make(chan error, 1)
	go func() {
		_, err := h.ImportImage(e.ctx, e.name(suffix), body, &provision.ImportOptions{Format: format, Size: int64(len(content))})
		done <- err
	}()
	select {
	case <-begun:
	case err := <-done:
		require.NoError(e.t, err, "the import ended before it was half-way")
	}
	return func() { close(goOn) }, done
}

func (e *env) createWaits() {
	resume, done := e.slowImport("a")
	spec := e.spec("g")
	spec.Image = e.name("a")
	soon, cancel := e.soon()
	defer cancel()
	_, err := e.Create(soon, spec, nil)
	made := make(chan error, 1)
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	go func() {
		_, err := e.Create(ctx, spec, nil)
		made <- err
	}()
	resume()
	imported, created := <-done, <-made
	require.ErrorIs(e.t, err, provision.ErrBusy)
	require.NotErrorIs(e.t, err, provision.ErrNotFound)
	require.NoError(e.t, imported)
	require.NoError(e.t, created)
	g, err := e.Guest(e.ctx, spec.Name)
	require.NoError(e.t, err)
	e.delete(g)
	require.NoError(e.t, e.RemoveImage(e.ctx, spec.Image))
}

func (e *env) importTwice() {
	content, format := e.Image(e.t, e.machine)
	other := append(bytes.Clone(content[:len(content)-1]), ^content[len(content)-1])
	before := e.leftovers()
	for _, c := range []struct {
		content []byte
		want    error
	}{{content, nil}, {other, provision.ErrExists}} {
		resume, first := e.slowImport("a")
		second := make(chan error, 1)
		go func() {
			_, err := e.ImportImage(e.ctx, e.name("a"), bytes.NewReader(c.content), &provision.ImportOptions{Format: format})
			second <- err
		}()
		resume()
		require.NoError(e.t, <-first)
		if err := <-second; c.want == nil {
			require.NoError(e.t, err)
		} else {
			require.ErrorIs(e.t, err, c.want)
		}
		require.True(e.t, e.hasImage(e.name("a")))
		require.NoError(e.t, e.RemoveImage(e.ctx, e.name("a")))
		require.Empty(e.t, diff(before, e.leftovers()))
	}
}
