package unpack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/guestforge/provision/internal/ctxerr"
)

// stream is the decompressed archive. Its errors are final: what the caller's
// reader said, the context's, [ErrLimit], or [ErrDamaged].
type stream struct {
	source *source
	r      io.Reader
	ahead  *ahead
	limit  int64
	left   int64
	err    error // the first one; io.EOF at the end
}

// source is the caller's reader. It keeps the error that decoders would replace
// by their own, and asks the context before each Read.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if err := ctxerr.Of(s.ctx); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = fmt.Errorf("reading the archive: %w", err)
	}
	return n, err
}

// openStream checks that r is what format says: compressed so, and a tar inside.
func openStream(ctx context.Context, r io.Reader, format Format, limit int64) (*stream, error) {
	want, ok := format.compression()
	if !ok {
		return nil, &FormatError{Format: format}
	}
	s := &stream{source: &source{ctx: ctx, r: r}, limit: limit, left: limit}
	raw := bufio.NewReaderSize(s.source, blockSize)
	start, err := raw.Peek(sniffed)
	if s.source.err != nil {
		return nil, s.source.err
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if want != "" && !startsAs(start, want) {
		return nil, &FormatError{format, seen(start)}
	}
	s.ahead = readAhead(ctx, &lazy{open: func() (io.Reader, error) { return decoder(raw, format) }})
	s.r = s.ahead
	if err := s.expectTar(format, want); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stream) expectTar(format Format, outer string) error {
	start := make([]byte, sniffed)
	n, err := io.ReadFull(s, start)
	start = start[:n]
	if err != nil && s.err != io.EOF {
		return s.err
	}
	if have := seen(start); have != aTar {
		if outer != "" {
			have = outer + " with this inside: " + have
		}
		return &FormatError{format, have}
	}
	s.r, s.left, s.err = io.MultiReader(bytes.NewReader(start), s.ahead), s.limit, nil
	return nil
}

// lazy opens a decoder in the goroutine that reads from it.
type lazy struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *lazy) Read(p []byte) (n int, err error) {
	if l.r == nil {
		if l.r, err = l.open(); err != nil {
			return 0, err
		}
	}
	return l.r.Read(p)
}

func decoder(r *bufio.Reader, format Format) (io.Reader, error) {
	switch format {
	case TarGzip:
		return gzip.NewReader(r)
	case TarXz:
		return xz.NewReader(newWindowGuard(r))
	case TarZstd:
		// With one, it decodes where it is read from and starts no goroutines.
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	}
	return r, nil
}

// Read never returns an error without having kept it.
func (s *stream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.left <= 0 {
		s.err = fmt.Errorf("%w in the decompressed archive", limitError("bytes", s.limit))
		return 0, s.err
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err != nil {
		s.err = s.explain(err)
	}
	return n, s.err
}

func (s *stream) explain(err error) error {
	ctx := ctxerr.Of(s.source.ctx)
	switch {
	case err == io.EOF:
		return err
	case ctx != nil:
		return ctx
	case s.source.err != nil:
		return s.source.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("%w: compress it with a smaller window", limitError("bytes of memory to decompress", maxWindow))
	case errors.Is(err, ErrLimit), errors.Is(err, errors.ErrUnsupported):
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// fault is the error behind one that came from archive/tar.
func (s *stream) fault(err error) error {
	if s.err != nil && s.err != io.EOF {
		return s.err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// finish reads to the end after the last entry, so that checksums of the
// compression, and of a caller's own, have seen everything.
func (s *stream) finish() error {
	if s.err == io.EOF {
		return fmt.Errorf("%w: it ends without the two blocks of zeros that end a tar archive", ErrDamaged)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := s.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return fmt.Errorf("%w: there are data after its end; archives that were put together must be unpacked one by one", ErrDamaged)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *stream) close() { s.ahead.close() }
