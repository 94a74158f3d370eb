package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// drain is what a data plane gets to finish its requests: short, because somebody waits at a terminal.
const drain = "5s"

// spec says how one process is started, where it listens and how it shows that it is ready.
type spec struct {
	name   string
	argv   []string
	listen []listen
	ready  string // URL that answers 200 once it is
	shown  string // where it listens, for people
}

// listen is one address that a process will take.
type listen struct {
	flag, addr string // flag of this program that moves it
}

// plan lists the processes in the order of their start; those of one step start together.
func plan(o options) [][]spec {
	return [][]spec{backendSpecs(o), {controlplaneSpec(o)}, dataplaneSpecs(o)}
}

func backendSpecs(o options) []spec {
	var specs []spec
	for i, port := range o.backends {
		name, addr := "backend-"+strconv.Itoa(i+1), local(port)
		specs = append(specs, spec{
			name:   name,
			argv:   []string{o.program("demo/backend"), "--port", strconv.Itoa(port), "--name", name},
			listen: []listen{{"--backend-ports", addr}},
			ready:  "http://" + addr + "/",
			shown:  "http://" + addr,
		})
	}
	return specs
}

func controlplaneSpec(o options) spec {
	return spec{
		name: "controlplane",
		argv: []string{
			o.program("controlplane"), "--config", o.config, "--store", o.store,
			"--grpc", o.grpc, "--http", o.http, "--log-level", o.logLevel,
		},
		listen: []listen{{"--controlplane-grpc", o.grpc}, {"--controlplane-http", o.http}},
		ready:  "http://" + o.http + "/readyz",
		shown:  fmt.Sprintf("gRPC %s, http://%s/metrics", o.grpc, o.http),
	}
}

func dataplaneSpecs(o options) []spec {
	var specs []spec
	for i, port := range o.proxies {
		public, admin := ":"+strconv.Itoa(port), local(o.admins[i])
		specs = append(specs, spec{
			name: "dataplane-" + strconv.Itoa(i+1),
			argv: []string{
				o.program("dataplane"), "--controlplane", o.grpc, "--listen", public, "--admin", admin,
				"--drain", drain, "--log-level", o.logLevel,
			},
			listen: []listen{{"--proxy-ports", public}, {"--admin-ports", admin}},
			ready:  "http://" + admin + "/readyz",
			shown:  fmt.Sprintf("http://localhost:%d, admin http://%s/metrics", port, admin),
		})
	}
	return specs
}

// local is a port on the loopback address, where everything but the proxies listens.
func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (o options) program(name string) string {
	return filepath.Join(o.bin, filepath.FromSlash(name)) + exe
}

// checkPrograms tells a missing build apart from a program that fails.
func checkPrograms(o options) error {
	for _, step := range plan(o) {
		for _, s := range step {
			if _, err := os.Stat(s.argv[0]); err != nil {
				return fmt.Errorf("%s: not built, got %w (want: make run)", s.name, err)
			}
		}
	}
	return nil
}
