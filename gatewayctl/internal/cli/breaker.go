package cli

import "github.com/spf13/cobra"

func (a *app) breakerCommand() *cobra.Command {
	return group("breaker", "Show and close circuit breakers on all data planes",
		a.breakerStatusCommand(), a.breakerResetCommand())
}
