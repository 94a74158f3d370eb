package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// checkPorts tries every address before anything starts. The error names each one that is taken, with the flag that
// moves it.
func checkPorts(o options) error {
	var problems []string
	users := map[string]string{} // port → flag
	moving, backends := "", false
	for _, s := range slices.Concat(plan(o)...) {
		for _, l := range s.listen {
			if err := free(l, users); err != nil {
				problems = append(problems, fmt.Sprintf("%s: %s cannot have %s, %v", l.flag, s.name, l.addr, err))
				moving, backends = l.flag, backends || l.flag == "--backend-ports"
			}
		}
	}
	if problems == nil {
		return nil
	}
	hint := fmt.Sprintf("move what is taken by its flag, as in: make run FLEET_FLAGS=%q", moving+" "+example[moving])
	if backends {
		hint += fmt.Sprintf("\nbackends that move need new urls in %s too", o.config)
	}
	return errors.New(strings.Join(append(problems, hint), "\n"))
}

// example has for each flag a value other than its default.
var example = map[string]string{
	"--backend-ports":     "9081,9082,9083",
	"--proxy-ports":       "9080,9090",
	"--admin-ports":       "7060,7061",
	"--controlplane-grpc": "127.0.0.1:19000",
	"--controlplane-http": "127.0.0.1:19001",
}

// free reports why l cannot be taken: somebody listens there, or the flags give its port twice.
func free(l listen, users map[string]string) error {
	_, port, err := net.SplitHostPort(l.addr)
	if err != nil {
		return err
	}
	if other, twice := users[port]; twice {
		return fmt.Errorf("%s gives the same port", other)
	}
	users[port] = l.flag
	// macOS lets a wildcard address join one that is taken on loopback only, so both are tried.
	for _, addr := range []string{l.addr, net.JoinHostPort("127.0.0.1", port)} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return cause(err)
		}
		if err := ln.Close(); err != nil {
			return err
		}
	}
	return nil
}

// cause drops what the caller says itself: the operation and the address.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
