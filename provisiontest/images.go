package provisiontest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func imagesCases() []testCase {
	return []testCase{
		rule("import", "an imported image is listed as it was stated, and progress grows up to the whole", withImages((*env).importImage)),
		rule("failed", "an import that does not get what was promised leaves nothing", withImages((*env).importFails)),
		rule("undo", "an import that fails at any step leaves nothing, and can be repeated", withImages((*env).importUndone)),
		rule("again", "the same content again is success, other content is ErrExists", withImages((*env).importAgain)),
		rule("in-use", "an image that a guest was made from cannot be removed", withImages((*env).imageInUse)),
		rule("released", "an image can be removed when all guests that were made from it are full copies", withImages((*env).imageReleased)),
		rule("wait", "a create whose image is still being imported waits for it, until its context ends with ErrBusy", withImages((*env).createWaits)),
		rule("twice", "of two imports of one name at once, one wins; the other is success with the same content, and ErrExists with other", withImages((*env).importTwice)),
		rule("remove", "removing an image that is not there is success", withImages((*env).imageRemoved)),
		rule("names", "a name that could be a path is refused, with the field named", withImages((*env).imageNames)),
	}
}

// withImages runs a case where there are images; elsewhere all verbs refuse.
func withImages(run func(*env)) func(*env) {
	return func(e *env) {
		verbs := []func() error{
			func() error { _, err := e.Images(e.ctx); return err },
			func() error { return e.RemoveImage(e.ctx, e.name("a")) },
			func() error {
				_, err := e.ImportImage(e.ctx, e.name("a"), strings.NewReader("x"), &provision.ImportOptions{Format: "raw"})
				return err
			},
		}
		for _, verb := range verbs {
			if !e.declared(provision.FeatureImages, verb) {
				continue
			}
			require.NotNil(e.t, e.Image, "Config.Image is required where images are supported")
			run(e)
			return
		}
	}
}

// imported reads the image of the Config into the store.
func (e *env) imported(h *provision.Host, suffix string, o provision.ImportOptions) (provision.Image, error) {
	content, format := e.Image(e.t, e.machine)
	o.Format = format
	return h.ImportImage(e.ctx, e.name(suffix), bytes.NewReader(content), &o)
}

func (e *env) hasImage(name string) bool {
	e.t.Helper()
	list, err := e.Images(e.ctx)
	require.NoError(e.t, err)
	for _, img := range list {
		if img.Name == name {
			return true
		}
	}
	return false
}

func (e *env) imageInUse() {
	img, err := e.imported(e.Host, "a", provision.ImportOptions{})
	require.NoError(e.t, err)
	spec := e.spec("g")
	spec.Image = img.Name
	g := e.make(spec)
	require.ErrorIs(e.t, e.RemoveImage(e.ctx, img.Name), provision.ErrState)
	require.True(e.t, e.hasImage(img.Name))
	e.delete(g)
	require.NoError(e.t, e.RemoveImage(e.ctx, img.Name))
	require.False(e.t, e.hasImage(img.Name))
}

func (e *env) imageRemoved() {
	require.NoError(e.t, e.RemoveImage(e.ctx, e.name("none")))
	_, err := e.imported(e.Host, "a", provision.ImportOptions{})
	require.NoError(e.t, err)
	for range 2 {
		require.NoError(e.t, e.RemoveImage(e.ctx, e.name("a")))
		require.False(e.t, e.hasImage(e.name("a")))
	}
}

func (e *env) imageNames() {
	for _, name := range []string{"", "..", "a/b", "../a", "/etc/passwd", "A", "a\x00", "a\n", "a..b", strings.Repeat("a", 64), "é"} {
		_, err := e.ImportImage(e.ctx, name, strings.NewReader("x"), &provision.ImportOptions{Format: "raw"})
		e.refused(err, "image")
		e.refused(e.RemoveImage(e.ctx, name), "image")
		require.NotErrorIs(e.t, err, errors.ErrUnsupported)
	}
}
