// Command dataplane proxies HTTP by the configuration and the keys that a control plane streams to it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"apigateway/dataplane/proxy"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	return proxy.Main(ctx, args)
}
