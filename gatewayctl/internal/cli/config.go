package cli

import "github.com/spf13/cobra"

func (a *app) configCommand() *cobra.Command {
	return group("config", "Show the configuration file's standing and check a new one",
		a.configStatusCommand(), a.configValidateCommand())
}
