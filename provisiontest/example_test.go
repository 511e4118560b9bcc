package provisiontest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"testing"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// The test of a panel: what does a customer see when the disk of a new guest
// cannot be made, and when the guest crashes?
func Example() {
	ctx := context.Background()
	backend := provisiontest.NewBackend(nil)
	if err := backend.AddImage("debian-12"); err != nil {
		log.Fatal(err)
	}
	faults := provisiontest.NewFaults()
	faults.Before("create", "disk 0", errors.New("pool is full"))
	host, err := provision.Open(ctx, backend, &provision.Options{Around: faults.Around})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()

	order := provision.Spec{Name: "web1", Key: "order-4711", Image: "debian-12"}
	_, err = host.Create(ctx, order, nil)
	fmt.Println(err)
	fmt.Print(backend)

	guest, err := host.Create(ctx, order, nil) // the fault has passed
	if err != nil {
		log.Fatal(err)
	}
	if err := guest.Start(ctx, nil); err != nil {
		log.Fatal(err)
	}
	if err := backend.Crash("web1"); err != nil {
		log.Fatal(err)
	}
	fmt.Print(backend)
	// Output:
	// provision: create sim "web1": pool is full
	// image "debian-12" raw, 1048576 bytes
	// guest "web1" crashed
	//   disk 0 1MiB
	//   seed
	// image "debian-12" raw, 1048576 bytes
}

// The author of a backend calls Run in a test of the backend's package; here
// the backend is the one of this package, on a file.
func ExampleRun() {
	open := func(machine string) *provisiontest.Backend {
		return provisiontest.NewBackend(&provisiontest.BackendOptions{File: machine})
	}
	config := provisiontest.Config{
		Machine: func(tb testing.TB) string {
			machine := filepath.Join(tb.TempDir(), "machine.json")
			if err := open(machine).AddImage("base"); err != nil {
				tb.Fatal(err)
			}
			return machine
		},
		New: func(_ testing.TB, machine string) provision.Backend { return open(machine) },
		Spec: func(_ testing.TB, _, name string) provision.Spec {
			return provision.Spec{Name: name, Image: "base"}
		},
		Forget: func(tb testing.TB, machine, name string) {
			if err := open(machine).Forget(name); err != nil {
				tb.Fatal(err)
			}
		},
		Image: func(testing.TB, string) ([]byte, string) { return make([]byte, 1<<20), "raw" },
		Leftovers: func(tb testing.TB, machine string) []string {
			list, err := open(machine).Objects()
			if err != nil {
				tb.Fatal(err)
			}
			return list
		},
		Foreign: func(tb testing.TB, machine, name string) (remove func()) {
			if err := open(machine).AddForeign(name); err != nil {
				tb.Fatal(err)
			}
			return func() {
				if err := open(machine).RemoveOutside(name); err != nil {
					tb.Error(err)
				}
			}
		},
	}
	TestBackend := func(t *testing.T) { provisiontest.Run(t, config) }
	_ = TestBackend
}

// Waiting takes no time with a virtual clock.
func ExampleClock() {
	ctx := context.Background()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := provisiontest.NewClock(start)
	backend := provisiontest.NewBackend(&provisiontest.BackendOptions{
		Clock: clock, Deaf: func(string) bool { return true },
	})
	if err := backend.AddImage("debian-12"); err != nil {
		log.Fatal(err)
	}
	host, err := provision.Open(ctx, backend, &provision.Options{Clock: clock})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	guest, err := host.Create(ctx, provision.Spec{Name: "deaf", Image: "debian-12"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := guest.Start(ctx, nil); err != nil {
		log.Fatal(err)
	}
	result, err := guest.Stop(ctx, nil)
	fmt.Println(result, err, clock.Now().Sub(start))
	// Output: killed <nil> 1m0s
}
