package provisiontest

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func (e *env) render() {
	spec := e.everything("a")
	const secret = "Rendered0Secret"
	if e.Supports(provision.FeatureAccess) == nil {
		spec.Access.PasswordHash = "$6$saltsalt$" + secret + strings.Repeat("a", 86-len(secret))
	}
	if e.Supports(provision.FeatureUserData) == nil {
		spec.UserData = []byte("#cloud-config\n# " + secret + "\n")
	}
	verb := func() error { _, err := e.Render(e.ctx, spec); return err }
	if !e.declared(provision.FeatureRender, verb) {
		return
	}
	before := e.leftovers()
	text, err := e.Render(e.ctx, spec)
	require.NoError(e.t, err)
	require.Contains(e.t, string(text), spec.Name)
	require.NotContains(e.t, string(text), secret)
	e.absent(spec.Name)
	require.Empty(e.t, diff(before, e.leftovers()), "something was made")

	e.make(spec)
	again, err := e.Render(e.ctx, spec)
	require.NoError(e.t, err, "a name that is taken does not matter")
	require.Equal(e.t, string(text), string(again))

	spec.Name = "Not A Name"
	_, err = e.Render(e.ctx, spec)
	require.ErrorIs(e.t, err, provision.ErrInvalid)
	spec = e.spec("b")
	spec.Native = strayNative{Setting: "x"}
	_, err = e.Render(e.ctx, spec)
	require.Error(e.t, err)
	require.NotErrorIs(e.t, err, provision.ErrUnavailable)
}
