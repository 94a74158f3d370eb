package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Main runs a data plane with own middleware as a program: it reads args and the environment, serves until ctx ends, and
// returns the exit code: 0 done, 1 failed, 2 wrong usage. What fails is said in one line on standard error.
func Main(ctx context.Context, args []string, middleware ...Middleware) int {
	opts, err := parseFlags(args, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, errAnswered):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "dataplane: %v (see dataplane --help)\n", err)
		return 2
	}
	opts.Middleware = middleware
	if err := Run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "dataplane:", err)
		return 1
	}
	return 0
}

// errAnswered says that the command line asked for help or the version and got it.
var errAnswered = errors.New("answered")

const usage = `dataplane proxies HTTP by the configuration and the keys that a control plane streams to it.

Usage:
  dataplane [flags]

Each flag can be set by an environment variable too: --listen by DATAPLANE_LISTEN, and so on.

Flags:
`

func parseFlags(args []string, stdout, stderr io.Writer) (Options, error) {
	opts := Options{Version: version()}
	var printVersion bool
	var level slog.Level
	var format string
	set := pflag.NewFlagSet("dataplane", pflag.ContinueOnError)
	set.SortFlags = false
	set.Usage = func() { fmt.Fprint(stdout, usage, set.FlagUsages()) }
	set.StringSliceVar(&opts.ControlPlanes, "controlplane", []string{"127.0.0.1:18000"}, "control plane `addresses`, tried in turn")
	set.StringVar(&opts.Listen, "listen", "", "public HTTP `address`, bound at once (default: the port of the first configuration)")
	set.StringVar(&opts.Admin, "admin", "127.0.0.1:6060", "`address` for /metrics /debug/pprof/ /healthz /readyz")
	set.StringVar(&opts.ID, "id", "", "`name` shown to operators (default: the host name, with --listen and its port)")
	set.StringVar(&opts.Cache, "cache", "", "`folder` of the last good state, or off (default data/dataplane/<id>)")
	set.BoolVar(&opts.Replace, "replace", false, "take over from the running data plane of this id and cache, if there is one; it drains")
	set.DurationVar(&opts.Drain, "drain", 30*time.Second, "how long a shutdown waits for requests under way")
	set.DurationVar(&opts.DrainDelay, "drain-delay", 0, "how long a shutdown goes on accepting, not ready, before that")
	set.StringVar(&opts.TLS.Cert, "tls-cert", "", "`file` with the certificate for gRPC, in PEM; with --tls-key and --tls-ca: mutual TLS")
	set.StringVar(&opts.TLS.Key, "tls-key", "", "`file` with its key")
	set.StringVar(&opts.TLS.CA, "tls-ca", "", "`file` with the authorities whose certificate the control plane has to show")
	set.BoolVar(&opts.Insecure, "insecure", false, "plaintext gRPC to an address that is not loopback")
	set.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	set.StringVar(&format, "log-format", "text", "text or json")
	set.BoolVar(&printVersion, "version", false, "print the version and exit")
	err := set.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return opts, errAnswered
	case err != nil:
		return opts, err
	case printVersion:
		fmt.Fprintln(stdout, "dataplane", version())
		return opts, errAnswered
	}
	if err := fromEnvironment(set, "DATAPLANE_"); err != nil {
		return opts, err
	}
	opts.Log, err = logger(stderr, level, format)
	return opts, errors.Join(err, opts.settle(set.Args()))
}

// settle fills in the defaults that depend on other flags, and checks what the flags' types do not.
func (o *Options) settle(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("got arguments %q (want only flags)", args)
	}
	if o.Drain < 0 || o.DrainDelay < 0 {
		return fmt.Errorf("--drain, --drain-delay: got %v and %v (want 0s or more)", o.Drain, o.DrainDelay)
	}
	if err := o.checkAddresses(); err != nil {
		return err
	}
	if err := o.settleID(); err != nil {
		return err
	}
	if o.Cache == "off" && o.Replace {
		return errors.New("--replace: got it with --cache off (want a folder: it is where the running data plane is met)")
	}
	if o.Cache != "off" {
		folder, err := filepath.Abs(cmp.Or(o.Cache, filepath.Join("data", "dataplane", strings.ReplaceAll(o.ID, ":", "_"))))
		if err != nil {
			return fmt.Errorf("--cache: %w", err)
		}
		o.Cache = folder
	}
	return nil
}

// checkAddresses refuses what would be listened on elsewhere than it says: an empty address is a random port of every
// interface.
func (o *Options) checkAddresses() error {
	if err := checkListen(o.Listen); o.Listen != "" && err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if err := checkListen(o.Admin); err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	return o.checkControlPlanes()
}

func (o *Options) checkControlPlanes() error {
	if err := o.TLS.Check(); err != nil {
		return err
	}
	if o.TLS.Given() && o.Insecure {
		return errors.New("--insecure: got it beside --tls-cert (want one of them)")
	}
	if len(o.ControlPlanes) == 0 {
		return errors.New("--controlplane: got none (want at least one address)")
	}
	for _, address := range o.ControlPlanes {
		switch {
		case address == "":
			return fmt.Errorf("--controlplane: got an empty address in %q (want HOST:PORT)", o.ControlPlanes)
		case !o.TLS.Given() && !o.Insecure && !loopback(address):
			return fmt.Errorf("--controlplane: got %s, which is not loopback (want a loopback address, mutual TLS by --tls-cert, or --insecure for plaintext on a network you trust)", address)
		}
	}
	return nil
}

func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("got %q (want HOST:PORT or :PORT, a port of 0 to 65535)", address)
	}
	return nil
}

// idForm is what the protocol allows as a data plane's id.
var idForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// settleID gives o a name that is safe as that of the cache's folder, too.
func (o *Options) settleID() error {
	if o.ID == "" {
		id, err := defaultID(o.Listen)
		if err != nil {
			return fmt.Errorf("--id: no host name, got %w (want a name)", err)
		}
		o.ID = id
	}
	if !idForm.MatchString(o.ID) || o.ID == "." || o.ID == ".." {
		return fmt.Errorf("--id: got %q (want 1 to 128 of A-Z a-z 0-9 . _ : -, and neither . nor ..)", o.ID)
	}
	return nil
}

// defaultID tells data planes of one machine apart by their port.
func defaultID(listen string) (string, error) {
	host, err := os.Hostname()
	if err != nil || listen == "" {
		return host, err
	}
	_, port, err := net.SplitHostPort(listen)
	return host + "-" + port, err
}

// fromEnvironment sets the flags that the command line did not from prefix and their name in capitals.
func fromEnvironment(set *pflag.FlagSet, prefix string) error {
	var errs []error
	set.VisitAll(func(f *pflag.Flag) {
		name := prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || f.Changed {
			return
		}
		if err := set.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(errs...)
}

func logger(w io.Writer, level slog.Level, format string) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{Level: level}
	if !slices.Contains([]string{"text", "json"}, format) {
		return nil, fmt.Errorf("--log-format: got %q (want text or json)", format)
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}

// version is the module's version that Go recorded in the binary.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
