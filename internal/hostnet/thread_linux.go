package hostnet

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onOwnThread runs f on a thread that may change its namespaces: it ends with f, and
// is never the process's first one, whose network namespace is what /proc/self/net
// shows to all threads.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// Held here, the first thread is not the one that the next call gets.
			defer runtime.UnlockOSThread()
			done <- onOwnThread(f)
			return
		}
		done <- f() // a goroutine that ends locked takes its thread with it
	}()
	return <-done
}
