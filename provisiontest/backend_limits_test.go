package provisiontest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// A feature that takes a trial is refused by Supports, Plan and Create once the
// trial has failed, and had where it did not.
func TestUntried(t *testing.T) {
	b := NewBackend(&BackendOptions{Untried: map[provision.Feature]string{
		provision.FeatureCPULimit: "no control groups", provision.FeatureCPUWeight: "",
	}})
	h := openHost(t, b, nil)
	require.NoError(t, b.AddImage("base"))
	require.Equal(t, []provision.Feature{provision.FeatureCPULimit, provision.FeatureCPUWeight}, h.Info().Untried)
	require.NoError(t, h.Supports(provision.FeatureCPUWeight))
	s := provision.Spec{Name: "web1", Image: "base", CPU: provision.CPU{Weight: 50, Limit: 0.5}}
	_, planned := h.Plan(t.Context(), s)
	_, made := h.Create(t.Context(), s, nil)
	for _, err := range []error{h.Supports(provision.FeatureCPULimit), planned, made} {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorContains(t, err, "no control groups")
	}
	s.CPU.Limit = 0
	_, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
}

func TestCapacity(t *testing.T) {
	b := NewBackend(&BackendOptions{Memory: 3 * provision.GiB})
	h := openHost(t, b, nil)
	require.NoError(t, b.AddImage("base"))
	create := func(name string, guaranteed bool) error {
		_, err := h.Create(t.Context(), provision.Spec{
			Name: name, Image: "base", Memory: provision.Memory{Size: 2 * provision.GiB, Guaranteed: guaranteed},
		}, nil)
		return err
	}
	require.NoError(t, create("first", true))
	require.NoError(t, create("loose", false))
	err := create("second", true)
	require.ErrorIs(t, err, provision.ErrCapacity)
	require.NotErrorIs(t, err, provision.ErrInvalid)
}
