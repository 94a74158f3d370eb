// Middleware is a data plane with two middleware of its own, to copy from. It takes the same flags as dataplane.
//
// served_for (served_for.go) is plain: it has no settings and says in the response whose key the request was served for.
// maintenance (maintenance.go) has settings: while they say so, it lets nobody through but some keys. Both names stand in
// gateway.yaml beside this file, under middleware_config, which makes them known, and in the service's middleware. In the
// repository's root:
//
//	make build && go build -o bin/demo/ ./configs/demo/...
//	bin/demo/backend --port 8081 --name backend-1 &
//	bin/controlplane configs/demo/middleware/gateway.yaml &
//	bin/demo/middleware &
//	curl -i -H 'X-API-KEY: abc-123' http://localhost:8080/users
//
// Set active: true in the file, and the next curl gets a 503, without a restart. What maintenance does not accept rejects
// the configuration: gatewayctl dataplanes list says why, and the earlier one stays in force. bin/dataplane, which has
// neither of the two, rejects it too.
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
	return proxy.Main(ctx, args, proxy.Plain("served_for", servedFor), proxy.WithSettings("maintenance", newMaintenance))
}
