package cli

import "github.com/spf13/cobra"

func (a *app) dataPlanesCommand() *cobra.Command {
	return group("dataplanes", "List, adopt and forget data planes",
		a.dataPlanesListCommand(), a.dataPlanesAdoptCommand(), a.dataPlanesForgetCommand())
}
