// Package cli is gatewayctl: one file per subcommand, each a struct whose fields are its flags. main gives it a Process
// and turns the number that Run returns into the exit code; tests do the same against a fake control plane. It converts
// flags into requests; what comes back is printed by package render.
//
// Results go to stdout. Whatever goes wrong is one line on stderr, "gatewayctl: …", and an exit code:
//
//	0  done
//	1  failed: refused, or the control plane cannot be reached
//	2  wrong usage: nothing was sent
//	3  stored, but not proven on every data plane
//
// Every request has a deadline (--timeout). SIGINT and SIGTERM end the request under way; a watch ends with 0.
package cli

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	"apigateway/proto/mtls"
)

// Process is what gatewayctl sees of the world. All fields but Asks and Draws must be set.
type Process struct {
	// Args are the arguments without the program's name.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv reads GATEWAYCTL_SERVER, GATEWAYCTL_TLS_CERT, _KEY and _CA, and NO_COLOR.
	Getenv func(string) string
	Now    func() time.Time
	// Asks: a person at stdin can answer a question.
	Asks bool
	// Draws: stdout is a terminal that knows colours and cursor movement.
	Draws bool
}

// app holds the flags that every command has.
type app struct {
	Process
	server    string
	tls       mtls.Files
	insecure  bool
	output    string
	timeout   time.Duration
	logLevel  string
	logFormat string

	log     *slog.Logger // set by begin
	started bool         // arguments and flags were understood
}

// Run runs one command and returns the exit code. The end of ctx interrupts it.
func Run(ctx context.Context, p Process) int {
	a := &app{Process: p}
	root := a.rootCommand()                     //nolint:contextcheck // cobra hands ctx to the commands itself
	root.SetArgs(append([]string{}, p.Args...)) // nil would mean os.Args
	cmd, err := root.ExecuteContextC(ctx)
	return a.report(cmd, err)
}

func (a *app) rootCommand() *cobra.Command {
	root := group("gatewayctl", "Operate the API gateway: keys, circuit breakers, data planes, configuration",
		a.keysCommand(), a.breakerCommand(), a.dataPlanesCommand(), a.configCommand())
	root.Long = rootLong
	root.Version = version()
	root.SetVersionTemplate("gatewayctl {{.Version}}\n")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.begin(cmd) }
	a.commonFlags(root)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.InitDefaultCompletionCmd(a.Args...) // keeps the stdout that is set now
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			mustNameCommand(cmd)
		}
	}
	return root
}

const rootLong = `Operate the API gateway: keys, circuit breakers, data planes, configuration.

gatewayctl talks to the control plane (--server, or GATEWAYCTL_SERVER). Results go to stdout, as tables for people or,
with -o json, as one object or array whose names never change.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 stored but not proven on every data plane (--wait).`

// group returns a command that only holds others.
func group(use, short string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(subcommands...)
	mustNameCommand(cmd)
	return cmd
}

// mustNameCommand makes it wrong usage to run a group itself; cobra would print its help and call that done.
func mustNameCommand(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return missingCommand(cmd)
	}
}

// begin runs once flags and arguments are understood.
func (a *app) begin(cmd *cobra.Command) error {
	if err := checkGiven(cmd.Flags()); err != nil {
		return err
	}
	if err := a.checkCommonFlags(); err != nil {
		return err
	}
	a.started = true
	return nil
}

func (a *app) json() bool { return a.output == "json" }

// style is how tables look now.
func (a *app) style() render.Style {
	return render.Style{Now: a.Now(), Colour: a.Draws && a.Getenv("NO_COLOR") == ""}
}
