package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) keysCommand() *cobra.Command {
	return group("keys", "Add, list, show, revoke and rotate API keys",
		a.keysAddCommand(), a.keysListCommand(), a.keysShowCommand(), a.keysRevokeCommand(), a.keysRotateCommand())
}

// waitFlag declares --wait, which every change of keys has.
func waitFlag(cmd *cobra.Command, wait *bool) {
	cmd.Flags().BoolVar(wait, "wait", false, "wait until every data plane serves the change; exit 3 if one does not within --timeout")
}
