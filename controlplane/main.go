// Command controlplane reads the gateway's configuration file, keeps API keys, and streams both to data planes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"apigateway/controlplane/control"
	"apigateway/controlplane/internal/config"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0 done, 1 failed, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	f, err := parseFlags(args, stdout)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	} else if err != nil {
		fmt.Fprintf(stderr, "controlplane: %v (see controlplane --help)\n", err)
		return 2
	}
	if f.version {
		fmt.Fprintln(stdout, "controlplane", version())
		return 0
	}
	if f.check != "" {
		return check(f.check, stdout, stderr)
	}
	f.options.Log = f.logger(stderr)
	f.options.Reload = reloads(ctx)
	return report(control.Run(ctx, f.options), stderr)
}

// report says why a control plane ended and returns the exit code. Mistakes of the configuration stand as --check has them.
func report(err error, stderr io.Writer) int {
	var mistakes config.Mistakes
	switch {
	case err == nil:
		return 0
	case errors.As(err, &mistakes):
		fmt.Fprintln(stderr, mistakes)
		fmt.Fprintln(stderr, count(len(mistakes)))
	default:
		fmt.Fprintln(stderr, "controlplane:", err)
	}
	return 1
}

// check reports every mistake of a file.
func check(file string, stdout, stderr io.Writer) int {
	mistakes, warnings, err := control.Check(file)
	if err != nil {
		fmt.Fprintln(stderr, "controlplane: --check:", err)
		return 1
	}
	for _, w := range warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	for _, m := range mistakes {
		fmt.Fprintln(stdout, m)
	}
	if len(mistakes) > 0 {
		fmt.Fprintln(stdout, count(len(mistakes)))
		return 1
	}
	fmt.Fprintf(stdout, "%s: no mistakes\n", file)
	return 0
}

func count(mistakes int) string {
	if mistakes == 1 {
		return "1 mistake"
	}
	return fmt.Sprintf("%d mistakes", mistakes)
}

// reloads turns SIGHUP into requests to read the file now; those that pile up collapse into one.
func reloads(ctx context.Context) <-chan struct{} {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	out := make(chan struct{}, 1)
	go func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				select {
				case out <- struct{}{}:
				default:
				}
			}
		}
	}()
	return out
}
