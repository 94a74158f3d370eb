// Backend is a small HTTP server to stand behind the gateway in the demo fleet and in the README's tour. Any path is
// answered with its name and port; three endings of a path do something else, under every route_pattern alike:
//
//	/users/status/503       answers with that status (200 to 599)
//	/users/slow?ms=1500     answers after that many milliseconds (at most 60000)
//	/users/headers          answers with the request's headers as the backend received them
//
// It listens on 127.0.0.1 only and ends with exit status 0 on Ctrl-C or SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stderr)) }

func run(ctx context.Context, args []string, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("backend", flag.ContinueOnError)
	flags.SetOutput(stderr)
	port := flags.Int("port", 8081, "`port` on 127.0.0.1; 0 takes a free one")
	name := flags.String("name", "backend-1", "`name` in its answers")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)))
	if err != nil {
		fmt.Fprintln(stderr, "backend:", err)
		return 1
	}
	fmt.Fprintf(stderr, "%s listens on http://%s\n", *name, ln.Addr())
	if err := serve(ctx, ln, *name); err != nil {
		fmt.Fprintln(stderr, "backend:", err)
		return 1
	}
	return 0
}

// serve answers on ln until ctx ends, then gives what is in flight one second.
func serve(ctx context.Context, ln net.Listener, name string) error {
	port := ln.Addr().(*net.TCPAddr).Port
	srv := &http.Server{Handler: handler(name, port), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if srv.Shutdown(last) != nil {
		_ = srv.Close() // cuts what outlasted its second; the listener is closed already
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
