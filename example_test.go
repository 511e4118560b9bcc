package provision_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// machine is a Host on a hypervisor in memory, for the examples.
func machine(opts *provisiontest.BackendOptions, images ...string) *provision.Host {
	b := provisiontest.NewBackend(opts)
	for _, name := range append(images, "debian-12") {
		if err := b.AddImage(name); err != nil {
			panic(err)
		}
	}
	h, err := provision.Open(context.Background(), b, nil)
	if err != nil {
		panic(err)
	}
	return h
}

func Example() {
	ctx := context.Background()
	backend := provisiontest.NewBackend(nil) // in a program: kvm.New(nil), for example
	if err := backend.AddImage("debian-12"); err != nil {
		fmt.Println(err)
	}
	host, err := provision.Open(ctx, backend, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()
	guest, err := host.Create(ctx, provision.Spec{
		Name: "web1", Image: "debian-12", Memory: provision.Memory{Size: 2 * provision.GiB},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := guest.Start(ctx, nil); err != nil {
		fmt.Println(err)
	}
	status, err := guest.Status(ctx)
	fmt.Println(status.Name, status.State, status.Memory, err)
	// Output: web1 running 2GiB <nil>
}

func ExampleOpen() {
	ctx := context.Background()
	backend := provisiontest.NewBackend(nil)
	host, err := provision.Open(ctx, backend, &provision.Options{Residency: "NO"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()
	fmt.Println(host.Info().Kind, host.Info().CPUs, host.Info().Memory)

	away := provisiontest.NewBackend(nil)
	away.SetDown(true)
	_, err = provision.Open(ctx, away, nil)
	fmt.Println(errors.Is(err, provision.ErrUnavailable))
	// Output:
	// sim 8 64GiB
	// true
}

func ExampleHost_Create() {
	ctx := context.Background()
	host := machine(nil)
	defer host.Close()

	spec := provision.Spec{Name: "web1", Key: "order-4711", Image: "debian-12"}
	first, err := host.Create(ctx, spec, &provision.CreateOptions{
		Progress: func(p provision.Progress) { fmt.Println("step:", p.Step) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The order comes in a second time: it is the same guest.
	second, err := host.Create(ctx, spec, nil)
	fmt.Println(first.ID() == second.ID(), err)

	// The same order with another content is a mistake.
	spec.CPU.Count = 4
	_, err = host.Create(ctx, spec, nil)
	fmt.Println(errors.Is(err, provision.ErrConflict))
	// Output:
	// step: define
	// step: disk 0
	// step: seed
	// true <nil>
	// true
}

func ExampleHost_Plan() {
	ctx := context.Background()
	host := machine(nil)
	defer host.Close()

	spec := provision.Spec{Name: "web1", Image: "debian-12"}
	plan, err := host.Plan(ctx, spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)
	if _, err := host.Create(ctx, spec, nil); err != nil {
		fmt.Println(err)
	}
	spec.CPU.Limit, spec.Memory.Size = 1.5, 2*provision.GiB
	plan, err = host.Plan(ctx, spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)
	// Output:
	// create sim "web1"
	//   + cpu.count: 1
	//   + hostname: web1
	//   + image: debian-12
	//   + memory.size: 512MiB
	//   + name: web1
	// change sim "web1"
	//   ~ cpu.limit: - -> 1.5 (live)
	//   ~ memory.size: 512MiB -> 2GiB (next restart: guests see their hardware when they start)
}

func ExampleHost_Supports() {
	host := machine(&provisiontest.BackendOptions{
		Missing: map[provision.Feature]string{provision.FeatureOwnKernel: "containers share the host's kernel"},
	})
	defer host.Close()
	for _, f := range []provision.Feature{provision.FeaturePause, provision.FeatureOwnKernel} {
		fmt.Printf("%s: %v\n", f, host.Supports(f))
	}
	// Output:
	// pause: <nil>
	// needs.ownKernel: needs.ownKernel is not supported by sim here: containers share the host's kernel
}

func ExampleHost_Guests() {
	ctx := context.Background()
	host := machine(nil)
	defer host.Close()
	for name, customer := range map[string]string{"web1": "77", "web2": "78", "db1": "77"} {
		s := provision.Spec{Name: name, Image: "debian-12", Labels: map[string]string{"customer": customer}}
		if _, err := host.Create(ctx, s, nil); err != nil {
			fmt.Println(err)
		}
	}
	for status, err := range host.Guests(ctx, &provision.ListOptions{Labels: map[string]string{"customer": "77"}}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(status.Name, status.State)
	}
	// Output:
	// db1 stopped
	// web1 stopped
}

func ExampleHost_Events() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	host := machine(nil)
	defer host.Close()
	for event, err := range host.Events(ctx, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch event.Type {
		case provision.EventReady: // from here on, nothing is missed
			guest, err := host.Create(ctx, provision.Spec{Name: "web1", Image: "debian-12"}, nil)
			if err == nil {
				err = guest.Start(ctx, nil)
			}
			fmt.Println("made and started:", err)
		case provision.EventCreated:
			fmt.Println("created", event.Name)
		}
		if event.State == provision.StateRunning {
			fmt.Println("running", event.Name)
			break
		}
	}
	// Output:
	// made and started: <nil>
	// created web1
	// running web1
}
