package cli

import (
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	defaultServer  = "127.0.0.1:18000"
	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Hour // what the control plane waits at most
	serverVariable = "GATEWAYCTL_SERVER"
	tlsVariable    = "GATEWAYCTL_TLS_" // and CERT, KEY or CA
)

func (a *app) commonFlags(root *cobra.Command) {
	server := a.Getenv(serverVariable)
	if server == "" {
		server = defaultServer
	}
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", server, "address of the control plane; environment: "+serverVariable)
	f.StringVar(&a.tls.Cert, "tls-cert", a.Getenv(tlsVariable+"CERT"), "file with the certificate to show, in PEM; environment: "+tlsVariable+"CERT")
	f.StringVar(&a.tls.Key, "tls-key", a.Getenv(tlsVariable+"KEY"), "file with its key; environment: "+tlsVariable+"KEY")
	f.StringVar(&a.tls.CA, "tls-ca", a.Getenv(tlsVariable+"CA"), "file with the authorities that the server is verified by; environment: "+tlsVariable+"CA")
	f.BoolVar(&a.insecure, "insecure", false, "allow plain text to a server that is not on this machine")
	f.StringVarP(&a.output, "output", "o", "table", "table or json")
	f.DurationVar(&a.timeout, "timeout", defaultTimeout, "bound on the wait for each answer and, with --wait, for the proof")
	f.StringVar(&a.logLevel, "log-level", "warn", "debug, info, warn or error; debug shows each request, never a secret")
	f.StringVar(&a.logFormat, "log-format", "text", "text or json")
	_ = root.RegisterFlagCompletionFunc("output", fixed("table", "json"))
	_ = root.RegisterFlagCompletionFunc("log-level", fixed("debug", "info", "warn", "error"))
	_ = root.RegisterFlagCompletionFunc("log-format", fixed("text", "json"))
	_ = root.RegisterFlagCompletionFunc("server", fixed())
}

// checkGiven refuses a flag with an empty value, as a script's unset variable makes it. Left out, a flag may mean more: every data
// plane, a secret made here.
func checkGiven(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" {
			err = usagef(`--%s: got "" (want a value)`, f.Name)
		}
	})
	return err
}

func (a *app) checkCommonFlags() error {
	if a.output != "table" && a.output != "json" {
		return usagef("--output: got %q (want table or json)", a.output)
	}
	if a.timeout <= 0 || a.timeout > maxTimeout {
		return usagef("--timeout: got %v (want more than 0, at most 1h)", a.timeout)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil || strings.ContainsAny(a.logLevel, "+-") {
		return usagef("--log-level: got %q (want debug, info, warn or error)", a.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch a.logFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(a.Stderr, options))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(a.Stderr, options))
	default:
		return usagef("--log-format: got %q (want text or json)", a.logFormat)
	}
	return nil
}

// checkServer refuses an address that cannot be one, and plain text to another machine unless that was asked for.
func (a *app) checkServer() error {
	host, port, err := net.SplitHostPort(a.server)
	if err != nil || port == "" {
		return usagef("--server: got %q (want HOST:PORT)", a.server)
	}
	if err := a.tls.Check(); err != nil {
		return usage(err)
	}
	switch {
	case a.tls.Given() && a.insecure:
		return usagef("--insecure: got it beside --tls-cert (want one of them)")
	case !a.tls.Given() && !a.insecure && !loopback(host):
		return usagef("--server: %s is not on this machine and the connection would be plain text (--tls-cert makes it TLS, --insecure allows it)",
			a.server)
	}
	return nil
}

// loopback reports whether host is this machine, without a look-up: what a name resolves to is for others to say.
func loopback(host string) bool {
	if host == "" || host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// version is the module's version, as the go command recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
