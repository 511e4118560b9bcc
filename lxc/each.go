//go:build linux

package lxc

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// each does the same for many guests, on as many goroutines as there are processors,
// while the caller does something else: what it returns waits for the end. The results
// are in order, and after the context's end some are missing.
func each[T any](ctx context.Context, names []string, do func(name string) T) (wait func() []T) {
	list := make([]T, len(names))
	var next atomic.Int64
	var done sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		done.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return
				}
				list[i] = do(names[i])
			}
		})
	}
	return func() []T {
		done.Wait()
		return list
	}
}
