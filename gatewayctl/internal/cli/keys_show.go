package cli

import (
	"context"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// keysShow is "keys show".
type keysShow struct {
	app *app
}

func (a *app) keysShowCommand() *cobra.Command {
	o := &keysShow{app: a}
	return &cobra.Command{
		Use:               "show NAME|ID",
		Short:             "Show one API key and its secrets' ids",
		Args:              operands(1, 1, "NAME or the ID of a secret"),
		ValidArgsFunction: a.complete(completeKeys),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
}

func (o *keysShow) run(ctx context.Context, name string) error {
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	resp, err := call(ctx, c, c.keys.GetKey, &gatewayv1.GetKeyRequest{Name: name})
	if err != nil {
		return err
	}
	if o.app.json() {
		return render.Object(o.app.Stdout, render.NewKey(resp.GetKey()))
	}
	return render.KeyDetails(o.app.Stdout, o.app.style(), resp.GetKey())
}
