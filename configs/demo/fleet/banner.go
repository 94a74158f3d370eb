package main

import (
	"fmt"
	"slices"
	"strings"
)

// banner says where everything listens and what to try.
func (f *fleet) banner() string {
	var b strings.Builder
	b.WriteString("\nThe fleet is up:\n")
	for _, c := range slices.Concat(f.started...) {
		fmt.Fprintf(&b, "  %-*s  pid %-7d %s\n", f.console.width, c.name, c.cmd.Process.Pid, c.shown)
	}
	ctl := f.opts.program("gatewayctl")
	if f.opts.grpc != defaultGRPC {
		ctl += " --server " + f.opts.grpc
	}
	fmt.Fprintf(&b, `
Try in another terminal:
  curl -H "X-API-KEY: abc-123" http://localhost:%d/users
  %s dataplanes list
  %s keys add alice --wait

Ctrl-C stops everything.

`, f.opts.proxies[0], ctl, ctl)
	return b.String()
}
