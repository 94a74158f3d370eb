// Command gatewayctl is the operator's tool of the gateway: it changes API keys, reads and closes circuit breakers
// across all data planes, and proves that a change is being served. It talks to the control plane alone.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 stored but not proven on every data plane. "gatewayctl --help" says
// the rest.
package main

import (
	"context"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"apigateway/gatewayctl/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	// A reader that went away is an error of the write, not the end of the process: a secret may still have to be shown.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	return cli.Run(ctx, cli.Process{
		Args:   os.Args[1:],
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Getenv: os.Getenv,
		Now:    time.Now,
		Asks:   isTerminal(os.Stdin),
		Draws:  isTerminal(os.Stdout) && os.Getenv("TERM") != "dumb",
	})
}

// isTerminal reports whether a person is at the other end of f: a character device that is not the null device.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
