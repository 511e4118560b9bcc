package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// run makes and starts a guest, for the examples.
func run(host *provision.Host, name string) *provision.Guest {
	guest, err := host.Create(context.Background(), provision.Spec{Name: name, Image: "debian-12"}, nil)
	if err == nil {
		err = guest.Start(context.Background(), nil)
	}
	if err != nil {
		panic(err)
	}
	return guest
}

func ExampleGuest_Stop() {
	ctx := context.Background()
	// With a virtual clock, the time of grace passes at once.
	clock := provisiontest.NewClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	backend := provisiontest.NewBackend(&provisiontest.BackendOptions{
		Clock: clock, Deaf: func(name string) bool { return name == "deaf" },
	})
	if err := backend.AddImage("debian-12"); err != nil {
		fmt.Println(err)
	}
	host, err := provision.Open(ctx, backend, &provision.Options{Clock: clock})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()
	for _, name := range []string{"web1", "deaf"} {
		result, err := run(host, name).Stop(ctx, &provision.StopOptions{Grace: 30 * time.Second})
		fmt.Println(name, result, err)
	}
	// Output:
	// web1 shut down <nil>
	// deaf killed <nil>
}

func ExampleGuest_Suspend() {
	ctx := context.Background()
	host := machine(nil)
	defer host.Close()
	guest := run(host, "web1")

	if _, err := guest.Suspend(ctx, "payment", &provision.StopOptions{Force: true}); err != nil {
		fmt.Println(err)
	}
	err := guest.Start(ctx, nil)
	fmt.Println(err, errors.Is(err, provision.ErrSuspended))

	if err := guest.Unsuspend(ctx, "payment"); err != nil {
		fmt.Println(err)
	}
	status, err := guest.Status(ctx)
	fmt.Println(status.State, err) // it ran before
	// Output:
	// provision: start sim "web1": suspended: payment true
	// running <nil>
}

func ExampleError() {
	ctx := context.Background()
	host := machine(nil)
	defer host.Close()

	_, err := host.Guest(ctx, "web9")
	fmt.Println(err)
	if errors.Is(err, provision.ErrNotFound) {
		fmt.Println("no such guest")
	}
	var e *provision.Error
	if errors.As(err, &e) {
		fmt.Println(e.Op, e.Kind, e.Guest)
	}
	// Output:
	// provision: look up sim "web9": guest "web9": not found
	// no such guest
	// look up sim web9
}

// The calls of a backend can be made to fail, to see what a program does then.
func Example_faults() {
	ctx := context.Background()
	backend := provisiontest.NewBackend(nil)
	if err := backend.AddImage("debian-12"); err != nil {
		fmt.Println(err)
	}
	faults := provisiontest.NewFaults()
	faults.Before("create", "seed", errors.New("no space left on device"))
	host, err := provision.Open(ctx, backend, &provision.Options{Around: faults.Around})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	_, err = host.Create(ctx, provision.Spec{Name: "web1", Image: "debian-12"}, nil)
	fmt.Println(err)
	fmt.Print(backend) // all of it was removed again
	// Output:
	// provision: create sim "web1": no space left on device
	// image "debian-12" raw, 1048576 bytes
}

func ExampleGuest_Exec() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	host := machine(nil)
	defer host.Close()
	guest := run(host, "web1")

	if _, err := guest.Wait(ctx, provision.UntilExec()); err != nil {
		fmt.Println(err)
	}
	var out strings.Builder
	result, err := guest.Exec(ctx, []string{"echo", "hello from", "inside"}, &provision.ExecOptions{Stdout: &out})
	fmt.Printf("%s%v %v\n", out.String(), result, err)
	result, err = guest.Exec(ctx, []string{"false"}, nil)
	fmt.Println(result, err)
	// Output:
	// hello from inside
	// exit status 0 <nil>
	// exit status 1 <nil>
}

// A customer has bought more: what can be changed while the guest runs is, and the
// rest waits for its next restart.
func ExampleGuest_Resize() {
	ctx := context.Background()
	host := machine(nil)
	defer host.Close()
	order := provision.Spec{Name: "web1", Key: "order-4711", Image: "debian-12", CPU: provision.CPU{Limit: 0.5}}
	guest, err := host.Create(ctx, order, nil)
	if err == nil {
		err = guest.Start(ctx, nil)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	order.CPU.Limit, order.Memory.Size = 2, 4*provision.GiB
	_, err = guest.Resize(ctx, order, nil)
	fmt.Println("now:", errors.Is(err, provision.ErrState))
	plan, err := guest.Resize(ctx, order, &provision.ResizeOptions{AtRestart: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)
	// Output:
	// now: true
	// change sim "web1"
	//   ~ cpu.limit: 0.5 -> 2 (live)
	//   ~ memory.size: 512MiB -> 4GiB (next restart: guests see their hardware when they start)
	//   ! memory.size: not enforced: it takes effect with the next restart
}

// Before an upgrade, a customer keeps what there is.
func ExampleGuest_Snapshot() {
	ctx := context.Background()
	host := machine(nil)
	defer host.Close()
	guest := run(host, "web1")
	if _, err := guest.Exec(ctx, []string{"touch", "/etc/good"}, nil); err != nil {
		fmt.Println(err)
	}
	taken, err := guest.Snapshot(ctx, "before-upgrade", nil)
	fmt.Println(taken.Name, taken.Consistency, err)
	if err := guest.RestoreSnapshot(ctx, "before-upgrade", nil); errors.Is(err, provision.ErrState) {
		fmt.Println("it must be off")
	}
	if _, err := guest.Stop(ctx, nil); err != nil {
		fmt.Println(err)
	}
	fmt.Println(guest.RestoreSnapshot(ctx, "before-upgrade", nil))
	// Output:
	// before-upgrade frozen <nil>
	// it must be off
	// <nil>
}

// A program that asks how large its terminal is.
func ExampleTerminal() {
	ctx := context.Background()
	host := machine(nil)
	defer host.Close()
	var out strings.Builder
	_, err := run(host, "web1").Exec(ctx, []string{"stty", "size"}, &provision.ExecOptions{
		Stdout: &out, TTY: &provision.Terminal{Size: provision.TerminalSize{Rows: 50, Cols: 132}},
	})
	fmt.Printf("%q %v\n", out.String(), err)
	// Output: "50 132\r\n" <nil>
}
