package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"apigateway/controlplane/control"
)

// flags are what the command line and the environment say.
type flags struct {
	options   control.Options
	check     string
	version   bool
	logLevel  slog.Level
	logFormat string
}

const usage = `controlplane reads the gateway's configuration, keeps API keys, and streams both to data planes.

Usage:
  controlplane [flags] [CONFIG]

Each setting can come from an environment variable too: --grpc from CONTROLPLANE_GRPC, and so on. Flags win.

Flags:
`

func parseFlags(args []string, stdout io.Writer) (*flags, error) {
	f := &flags{options: control.Options{Version: version()}}
	set := pflag.NewFlagSet("controlplane", pflag.ContinueOnError)
	set.SortFlags = false
	set.Usage = func() { fmt.Fprint(stdout, usage, set.FlagUsages()) }
	set.StringVar(&f.options.Config, "config", "configs/gateway.yaml", "configuration `file`, watched for changes; SIGHUP reads it now")
	set.StringVar(&f.check, "check", "", "report every mistake of `file` and exit")
	set.StringVar(&f.options.GRPC, "grpc", "127.0.0.1:18000", "`address` for data planes and gatewayctl")
	set.StringVar(&f.options.HTTP, "http", "127.0.0.1:18001", "`address` for /healthz /readyz /metrics /debug/pprof/")
	set.StringVar(&f.options.Store, "store", "bolt:data/controlplane.db", "`URL` of the store for revisions and keys")
	set.BoolVar(&f.options.Adopt, "adopt", false, "take over data planes that followed another store")
	set.StringVar(&f.options.TLS.Cert, "tls-cert", "", "`file` with the certificate for gRPC, in PEM; with --tls-key and --tls-ca: mutual TLS")
	set.StringVar(&f.options.TLS.Key, "tls-key", "", "`file` with its key")
	set.StringVar(&f.options.TLS.CA, "tls-ca", "", "`file` with the authorities whose certificates data planes and gatewayctl have to show")
	set.BoolVar(&f.options.Insecure, "insecure", false, "serve gRPC in plaintext on an address that is not loopback")
	set.TextVar(&f.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	set.StringVar(&f.logFormat, "log-format", "text", "text or json")
	set.BoolVar(&f.version, "version", false, "print the version and exit")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if err := fromArgument(set); err != nil {
		return nil, err
	}
	if err := fromEnvironment(set, "CONTROLPLANE_"); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"text", "json"}, f.logFormat) {
		return nil, fmt.Errorf("--log-format: got %q (want text or json)", f.logFormat)
	}
	if f.check != "" && set.NArg() > 0 {
		return nil, fmt.Errorf("--check: got the argument %q beside it (want the file to check alone)", set.Arg(0))
	}
	return f, f.options.Validate()
}

// fromArgument takes the positional argument as --config.
func fromArgument(set *pflag.FlagSet) error {
	switch {
	case set.NArg() > 1:
		return fmt.Errorf("got %d arguments %q (want at most one, the configuration file)", set.NArg(), set.Args())
	case set.NArg() == 1 && set.Changed("config"):
		return errors.New("got both --config and an argument (want one configuration file)")
	case set.NArg() == 1:
		return set.Set("config", set.Arg(0))
	}
	return nil
}

// fromEnvironment sets the flags that the command line did not from prefix and their name in capitals.
func fromEnvironment(set *pflag.FlagSet, prefix string) (err error) {
	set.VisitAll(func(f *pflag.Flag) {
		name := prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || f.Changed || err != nil || f.Name == "version" { // CONTROLPLANE_VERSION is likely to name a version
			return
		}
		if e := set.Set(f.Name, value); e != nil {
			err = fmt.Errorf("%s: %w", name, e)
		}
	})
	return err
}

func (f *flags) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: f.logLevel}
	if f.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// version is the module's version that Go recorded in the binary.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
