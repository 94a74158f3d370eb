package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// defaultGRPC is where gatewayctl looks without --server.
const defaultGRPC = "127.0.0.1:18000"

// options are the flags. Ports lie in 1 to 65535.
type options struct {
	backends, proxies, admins ports // one process each; as many admins as proxies
	grpc, http                string
	config, store             string
	bin                       string
	logLevel                  string
	readyTimeout              time.Duration
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := options{backends: ports{8081, 8082, 8083}, proxies: ports{8080, 8090}, admins: ports{6060, 6061}}
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Var(&o.backends, "backend-ports", "`ports` of the demo backends; the configuration's urls must name them too")
	flags.Var(&o.proxies, "proxy-ports", "public `ports`, one data plane each")
	flags.Var(&o.admins, "admin-ports", "admin `ports` of the data planes, as many")
	flags.StringVar(&o.grpc, "controlplane-grpc", defaultGRPC, "`address` for data planes and gatewayctl")
	flags.StringVar(&o.http, "controlplane-http", "127.0.0.1:18001", "`address` of the control plane's /readyz and /metrics")
	flags.StringVar(&o.config, "config", "configs/gateway.yaml", "configuration `file`")
	flags.StringVar(&o.store, "store", "bolt:data/controlplane.db", "the control plane's store, a `URL`")
	flags.StringVar(&o.bin, "bin", "bin", "`folder` of the programs")
	flags.StringVar(&o.logLevel, "log-level", "info", "of every program: `debug|info|warn|error`")
	flags.DurationVar(&o.readyTimeout, "ready-timeout", 30*time.Second, "time that each step of the start may take")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if err := o.validate(flags.Args()); err != nil {
		fmt.Fprintln(stderr, "fleet:", err)
		return options{}, err
	}
	return o, nil
}

func (o options) validate(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q (want flags only)", rest[0])
	}
	if len(o.admins) != len(o.proxies) {
		return fmt.Errorf("--admin-ports: got %d (want %d, one for each of --proxy-ports)", len(o.admins), len(o.proxies))
	}
	return nil
}

// ports is a flag value: a list of ports separated by commas.
type ports []int

// String implements flag.Value.
func (p *ports) String() string {
	texts := make([]string, 0, len(*p))
	for _, port := range *p {
		texts = append(texts, strconv.Itoa(port))
	}
	return strings.Join(texts, ",")
}

// Set implements flag.Value; it replaces the list.
func (p *ports) Set(list string) error {
	*p = nil
	for text := range strings.SplitSeq(list, ",") {
		port, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		if err != nil || port == 0 {
			return fmt.Errorf("not a port, got %q (want 1 to 65535, separated by commas)", text)
		}
		*p = append(*p, int(port))
	}
	return nil
}
