package provisiontest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func capabilityCases() []testCase {
	return []testCase{
		rule("features", "each feature is had, or refused by Supports, Plan and Create with the same reason", (*env).eachFeature),
		rule("together", "a guest that uses every supported field is made, is as asked for, and tells of each limit", (*env).allFields),
		rule("native", "native settings of another backend are refused as unsupported", (*env).strayNative),
		rule("residency", "a guest that must stay in a country is refused elsewhere", (*env).residency),
		rule("strict", "needs.strict refuses exactly what would not be enforced", (*env).strict),
		rule("check", "Check examines the machine, and finds no error on one that passes these tests", (*env).check),
		rule("render", "Render shows the guest that Create would make, the same each time, without secrets, and makes nothing", (*env).render),
		rule("info", "Info says what backend it is, and its answer belongs to the caller", (*env).info),
	}
}

func (e *env) eachFeature() {
	g := e.create("g")
	require.NoError(e.t, g.Start(e.ctx, nil))
	fields, asVerb := fieldUses(), e.verbUses(g)
	for _, f := range provision.Features() {
		use, isField := fields[f]
		do, isVerb := asVerb[f]
		// Without FeatureWatch, Events polls: the group events has it. For
		// FeatureNative see the case native.
		known := isField || isVerb || f == provision.FeatureWatch || f == provision.FeatureNative
		require.True(e.t, known, "this suite does not know how to use feature %s", f)
		if isVerb && e.declared(f, do) {
			require.NoError(e.t, do(), "%s is declared, so it must work", f)
		}
		if isField {
			e.field(f, use)
		}
	}
	e.absent(e.name("a"))
}

// field asks for a field of Spec. That it works is for allFields to see.
func (e *env) field(f provision.Feature, use func(*provision.Spec)) {
	e.t.Helper()
	spec := e.spec("a")
	use(&spec)
	plan := func() error { _, err := e.Plan(e.ctx, spec); return err }
	if e.declared(f, plan) {
		if err := plan(); !e.needsNIC(f) {
			require.NoError(e.t, err, "%s is declared, so it must work", f)
		}
		return
	}
	_, err := e.Create(e.ctx, spec, nil)
	e.declared(f, func() error { return err })
}

// needsNIC reports that a field can only be tried on a machine with a bridge,
// and there is none.
func (e *env) needsNIC(f provision.Feature) bool {
	return strings.HasPrefix(string(f), "nics") && len(e.spec("a").NICs) == 0
}

// everything returns a Spec that uses all fields that are supported.
func (e *env) everything(suffix string) provision.Spec {
	spec := e.spec(suffix)
	fields := fieldUses()
	for _, f := range provision.Features() {
		if use, ok := fields[f]; ok && e.Supports(f) == nil && !e.needsNIC(f) {
			use(&spec)
		}
	}
	return spec
}

func (e *env) allFields() {
	spec := e.everything("a")
	plan, err := e.Plan(e.ctx, spec)
	require.NoError(e.t, err)
	foretold := map[string]provision.Enforcement{}
	for _, l := range plan.Limits {
		foretold[l.Path] = l.Enforcement
	}
	g := e.make(spec)
	plan, err = e.Plan(e.ctx, spec)
	require.NoError(e.t, err)
	require.Equal(e.t, provision.ActionNone, plan.Action, "%s", plan)
	require.NoError(e.t, g.Start(e.ctx, nil))
	st := e.status(g)
	said := map[string]bool{}
	for _, l := range st.Limits {
		require.False(e.t, said[l.Path], "limit %s comes twice", l.Path)
		said[l.Path] = true
		require.Contains(e.t, []provision.Enforcement{provision.Enforced, provision.Partial, provision.NotEnforced}, l.Enforcement)
		require.True(e.t, l.Enforcement == provision.Enforced || l.Reason != "", "limit %s is %s without a reason", l.Path, l.Enforcement)
		if plan, ok := foretold[l.Path]; ok {
			require.Equal(e.t, plan, l.Enforcement, "limit %s holds as the plan said (%s)", l.Path, l.Reason)
		}
	}
	for path, asked := range askedLimits(&spec) {
		require.True(e.t, !asked || said[path], "the status says nothing of limit %s: %v", path, st.Limits)
	}
	text, err := st.MarshalJSON()
	require.NoError(e.t, err)
	require.False(e.t, spec.Access.PasswordHash != "" && bytes.Contains(text, []byte(spec.Access.PasswordHash)), "a secret in the status")
}

// strayNative is for no backend.
type strayNative struct{ Setting string }

func (strayNative) NativeKind() string                { return "none" }
func (strayNative) Validate() []*provision.FieldError { return nil }

func (e *env) strayNative() {
	spec := e.spec("a")
	spec.Native = strayNative{Setting: "x"}
	_, err := e.Plan(e.ctx, spec)
	require.ErrorIs(e.t, err, errors.ErrUnsupported)
	_, err = e.Create(e.ctx, spec, nil)
	require.ErrorIs(e.t, err, errors.ErrUnsupported)
	e.absent(spec.Name)
}

func (e *env) residency() {
	o := e.options(e.t)
	o.Residency = "NO"
	h, err := provision.Open(e.ctx, e.New(e.t, e.machine), o)
	require.NoError(e.t, err)
	defer h.Close()
	// A backend may refuse it altogether; then it must do so for each country.
	here := h.Supports(provision.FeatureResidency)
	if here != nil {
		here = errors.ErrUnsupported
	}
	for country, want := range map[string]error{"NO": here, "SE": errors.ErrUnsupported, "norway": provision.ErrInvalid} {
		spec := e.spec("a")
		spec.Needs.Residency = country
		_, err := h.Plan(e.ctx, spec)
		require.ErrorIs(e.t, err, want, "residency %s", country)
	}
}

func (e *env) strict() {
	spec := e.everything("a")
	plan, err := e.Plan(e.ctx, spec)
	require.NoError(e.t, err)
	weak := ""
	for _, l := range plan.Limits {
		if l.Enforcement != provision.Enforced {
			weak = l.Path
		}
	}
	spec.Needs.Strict = true
	_, err = e.Plan(e.ctx, spec)
	if weak == "" {
		require.NoError(e.t, err, "all limits are enforced")
		return
	}
	require.ErrorIs(e.t, err, errors.ErrUnsupported)
	require.ErrorContains(e.t, err, weak)
	_, err = e.Create(e.ctx, spec, nil)
	require.ErrorIs(e.t, err, errors.ErrUnsupported)
	e.absent(spec.Name)
}

func (e *env) check() {
	verb := func() error { _, err := e.Check(e.ctx); return err }
	if !e.declared(provision.FeatureCheck, verb) {
		return
	}
	found, err := e.Check(e.ctx)
	require.NoError(e.t, err)
	for _, f := range found {
		require.NotEmpty(e.t, f.Check)
		require.NotEmpty(e.t, f.Message)
		require.Contains(e.t, []provision.Severity{provision.SeverityInfo, provision.SeverityWarning}, f.Severity, "%s: %s (%s)", f.Check, f.Message, f.Evidence)
	}
}

func (e *env) info() {
	info := e.Info()
	require.NotEmpty(e.t, info.Kind)
	require.Positive(e.t, info.CPUs)
	require.NotZero(e.t, info.Memory)
	for f, why := range info.Missing {
		require.Contains(e.t, provision.Features(), f)
		require.NotEmpty(e.t, why, "the reason why %s is missing", f)
	}
	for i := range info.Honours {
		info.Honours[i] = "changed"
	}
	require.NotContains(e.t, e.Info().Honours, provision.Feature("changed"))
}
