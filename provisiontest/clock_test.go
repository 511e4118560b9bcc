package provisiontest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClock(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := NewClock(start)
	require.Equal(t, start, c.Now())
	require.NoError(t, c.Sleep(t.Context(), time.Hour))
	c.Advance(time.Minute)
	c.Advance(-time.Hour)
	require.Equal(t, start.Add(time.Hour+time.Minute), c.Now(), "time does not go back")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInjected)
	require.ErrorIs(t, c.Sleep(ctx, time.Hour), errInjected)
	require.Equal(t, start.Add(time.Hour+time.Minute), c.Now(), "an ended context takes no time")

	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { c.Advance(time.Second) })
	}
	all.Wait()
	require.Equal(t, start.Add(time.Hour+time.Minute+10*time.Second), c.Now())
}
