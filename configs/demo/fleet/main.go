// Fleet runs the whole gateway on one machine: demo backends, the control plane and its data planes, each a process of
// its own. `make run` builds them and starts it in the repository's root.
//
// It looks at every port first and names the flag that moves a taken one. Then it starts backends, control plane and
// data planes in that order, each when the ones before are ready, prints where they listen with their process ids, and
// passes their output on, each line led by a name. Ctrl-C, SIGTERM or SIGHUP stops them in the opposite order; a second
// one kills what is left. Exit status: 0 stopped when asked, 1 failed, 2 wrong usage.
//
// A process that ends with an error ends the fleet, with its last lines repeated. One that is stopped by hand (by a
// signal, or with exit status 0) once all are up does not: the rest goes on and its command is printed, so that a
// breaker can be tripped, or the control plane killed, and started again from another terminal. Processes run in
// process groups of their own, so that the terminal's Ctrl-C reaches the fleet alone; on Linux they are killed when the
// fleet itself is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	// Linux kills children when the thread that started them ends; this one lasts as long as they do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	opts, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if err := runFleet(ctx, opts, stdout); err != nil {
		fmt.Fprintln(stderr, "fleet:", err)
		return 1
	}
	return 0
}

// runFleet returns when every process that it started has ended.
func runFleet(ctx context.Context, opts options, stdout io.Writer) error {
	first, unhook := notify(ctx)
	defer unhook()
	if err := checkPrograms(opts); err != nil {
		return err
	}
	if err := checkPorts(opts); err != nil {
		return err
	}
	f := newFleet(opts, stdout)
	err := f.run(first)
	second, unhook := notify(context.WithoutCancel(ctx))
	defer unhook()
	f.stop(second)
	return err
}

// notify returns a context that ends with the next request to stop.
func notify(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}
