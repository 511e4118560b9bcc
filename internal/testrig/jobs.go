//go:build linux

package testrig

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Jobs runs n jobs on so many goroutines, and fails the test with the first error.
func Jobs(tb testing.TB, goroutines, n int, job func(ctx context.Context, i int) error) {
	tb.Helper()
	jobs := make(chan int, n)
	for i := range n {
		jobs <- i
	}
	close(jobs)
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range jobs {
				errs <- job(tb.Context(), i)
			}
		})
	}
	wg.Wait()
	for range n {
		require.NoError(tb, <-errs)
	}
}
