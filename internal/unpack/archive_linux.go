package unpack

import (
	"archive/tar"
	"context"
	"errors"
	"io"
)

// Archive unpacks r, which is of that format, into dir: an empty directory that
// exists. See the package for what is checked.
//
// r is read to its end, so that a checksum taken on the way is complete. Archive
// does not return while a Read of r hangs: its Read should end with the context.
// Errors of r and the context's cause come wrapped; archives that are not
// accepted give one of the errors of this package. After an error the caller
// removes dir; os.RemoveAll is enough, for it follows no links and nothing too
// deep for it was made. Nothing is synced: syncfs(2) before the tree counts.
func Archive(ctx context.Context, dir string, r io.Reader, format Format, opts Options) (Report, error) {
	t, err := openTree(ctx, dir, opts)
	if err != nil {
		return Report{}, err
	}
	defer t.close()
	s, err := openStream(ctx, r, format, t.opts.maxStream())
	if err != nil {
		return t.report, err
	}
	defer s.close()
	if err := t.unpack(s); err != nil {
		return t.report, err
	}
	return t.report, t.finish()
}

func (t *tree) unpack(s *stream) error {
	headers := tar.NewReader(s)
	for {
		h, err := headers.Next()
		if err == io.EOF {
			return s.finish()
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // a setting of the program's; clean decides
			return s.fault(err)
		}
		if err := t.unpackOne(h, body{headers, s}); err != nil {
			return &EntryError{h.Name, err}
		}
	}
}

func (t *tree) unpackOne(h *tar.Header, content io.Reader) error {
	if err := t.count(); err != nil {
		return err
	}
	e, ok, err := t.opts.fromHeader(h, &t.report)
	if err != nil || !ok {
		return err
	}
	e.body = content
	return t.place(e)
}

// body is the content of the current entry, with errors that say what is behind.
type body struct {
	r *tar.Reader
	s *stream
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = b.s.fault(err)
	}
	return n, err
}
