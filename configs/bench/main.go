// Bench compares the gateway with other proxies and measures how fast a change reaches a fleet. `make bench-proxies`
// builds what it needs and runs it from the repository's root; it prints Markdown on standard output and what it is doing
// on standard error. Only loopback is used, every process ends with it, and nothing is left behind.
//
// The data plane with its full chain, HAProxy and nginx do the same work, each as its templates/ file says, one after the
// other within each round, the order rotated from round to round. Each proxy may use the last cores of those that this
// process may use; load generator, backends and control plane have the others (with none left, all). CPU time is the
// kernel's, of every thread of every process of a proxy, from before the load begins until it has ended, divided by the
// requests that were answered or the body bytes that the backends count. Ratios are paired: both values of one come from
// the same round; the interval is Student's t on their logarithms.
//
// The load is wrk's, which asks as fast as it is answered; where that will not do, it is this program's own (drive.go): full
// TLS handshakes, and requests at a fixed rate. A proxy or load generator that is not installed is named and left out.
//
// Propagation: a control plane and its data planes in this one process, over loopback gRPC, each data plane with a cache on
// disk. Times are those of WatchRollout: from the store's commit to the arrival of Applied, which a data plane sends once
// it serves the change.
//
// A scenario is a row of the table in scenario.go. -rows picks by name; any of -connections, -body, -upload and -cores
// runs one row made of these flags instead. The exit status is 0 done, 1 failed, 2 wrong usage.
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

func main() {
	if len(os.Args) == 2 && os.Args[1] == backendCommand {
		os.Exit(runBackend(os.Stdin, os.Stdout))
	}
	if len(os.Args) == 2 && os.Args[1] == driveCommand {
		os.Exit(runDrive(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	// Linux ends children when the thread that started them ends; this one lasts as long as they do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	err = compare(ctx, opts, stdout, stderr)
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "bench: stopped, nothing is left running")
		return 1
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// compare prints what was measured with, then each table that was asked for.
func compare(ctx context.Context, opts options, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	say := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	fmt.Fprintf(stdout, "%s\n", surroundings(ctx, opts))
	if len(opts.scenarios) > 0 {
		results, left, err := runScenarios(ctx, opts, dir, say)
		if err != nil {
			return err
		}
		fmt.Fprint(stdout, comparison(results, left, opts))
	}
	if opts.propagation {
		rows, err := runPropagation(ctx, opts, dir, say)
		if err != nil {
			return fmt.Errorf("propagation: %w", err)
		}
		fmt.Fprint(stdout, propagationTable(rows, opts))
	}
	return nil
}
