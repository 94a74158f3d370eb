package cli

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
)

// Exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitUnproven = 3
)

// errSaid fails a command whose output has said everything.
var errSaid = errors.New("said on stdout")

// errEnded fails a watch that the control plane ended.
var errEnded = errors.New("the control plane ended the watch")

// exitError is an error with an exit code of its own; every other error exits with 1.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usage makes err the error of a wrong flag or argument.
func usage(err error) error { return &exitError{exitUsage, err} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// report prints err on one line and returns the exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	code, hint := exitFailed, ""
	if e, ok := errors.AsType[*exitError](err); ok {
		code = e.code
	} else if !a.started { // cobra did not understand the command line
		code = exitUsage
	}
	if code == exitUsage {
		hint = fmt.Sprintf(" (see %s --help)", cmd.CommandPath())
	}
	if !errors.Is(err, errSaid) && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintf(a.Stderr, "gatewayctl: %s%s\n", render.Clean(err.Error()), hint)
	}
	return code
}

func unknownCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2 // two letters swapped
	if like := cmd.SuggestionsFor(name); len(like) > 0 {
		return usagef("unknown command %q for %q, did you mean %s?", name, cmd.CommandPath(), like[0])
	}
	return usagef("unknown command %q for %q", name, cmd.CommandPath())
}

// missingCommand shows the help of a group, on stderr since nothing was done.
func missingCommand(cmd *cobra.Command) error {
	cmd.SetOut(cmd.ErrOrStderr())
	if err := cmd.Help(); err != nil {
		return err
	}
	return &exitError{exitUsage, errSaid}
}

// operands returns a check of the number of arguments that says what they are.
func operands(least, most int, want string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < least && len(args) == 0:
			return usagef("missing argument (want %s)", want)
		case len(args) < least || len(args) > most:
			return usagef("got %d arguments (want %s)", len(args), want)
		case slices.Contains(args, ""):
			return usagef(`got "" (want %s)`, want)
		default:
			return nil
		}
	}
}
