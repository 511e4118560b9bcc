package provisiontest

import (
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func crashCases() []testCase {
	return []testCase{
		rule("create", "a process that is killed at any step of a Create leaves nothing, or a guest that is incomplete; Delete or the same Create go on", (*env).createKilled),
		rule("delete", "a process that is killed at any step of a Delete leaves a guest that is whole or incomplete, or nothing; Delete goes on", (*env).deleteKilled),
		rule("import", "a process that is killed at any step of an import leaves no image, or a whole one; the same import and RemoveImage go on", withImages((*env).importKilled)),
	}
}

func (e *env) createKilled() {
	list := e.createPoints()
	before := e.leftovers()
	for i, p := range list {
		e.sub(p.String(), func(e *env) {
			e.killed(e.spawn(job{Do: "create", Name: e.name("a"), Key: e.keyed("a").Key, Kill: &p}))
			done := p.After && p.Op == "record" || p.Op == "autostart"
			e.absentOrIncomplete(done)
			e.idle(done)
			e.finish(i%2 == 0)
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

// idle requires that a guest that is half made does not start with its host.
func (e *env) idle(done bool) {
	e.t.Helper()
	if g, err := e.Guest(e.ctx, e.name("a")); err == nil && !done {
		require.False(e.t, e.status(g).Autostart, "a guest that is incomplete must not start with its host")
	}
}

func (e *env) deleteKilled() {
	list := e.deletePoints()
	before := e.leftovers()
	for _, p := range list {
		e.sub(p.String(), func(e *env) {
			e.make(e.keyed("a"))
			e.killed(e.spawn(job{Do: "delete", Name: e.name("a"), Kill: &p}))
			e.absentOrIncomplete(p.Op == "record" && !p.After)
			e.finish(false)
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

func (e *env) importKilled() {
	list := e.importPoints()
	before := e.leftovers()
	for i, p := range list {
		e.sub(p.String(), func(e *env) {
			e.killed(e.spawn(job{Do: "import", Name: e.name("a"), Kill: &p}))
			if i%2 == 0 {
				_, err := e.imported(e.Host, "a", provision.ImportOptions{})
				require.NoError(e.t, err)
				require.True(e.t, e.hasImage(e.name("a")))
			} else if e.hasImage(e.name("a")) {
				e.wholeImage()
			}
			require.NoError(e.t, e.RemoveImage(e.ctx, e.name("a")))
			require.False(e.t, e.hasImage(e.name("a")))
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

// wholeImage requires the image to have the content of the Config: importing
// that again succeeds only then.
func (e *env) wholeImage() {
	e.t.Helper()
	_, err := e.imported(e.Host, "a", provision.ImportOptions{})
	require.NoError(e.t, err, "an image that is listed must be whole")
}
