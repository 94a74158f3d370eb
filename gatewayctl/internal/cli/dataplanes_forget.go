package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// dataPlanesForget is "dataplanes forget".
type dataPlanesForget struct {
	app *app
}

func (a *app) dataPlanesForgetCommand() *cobra.Command {
	o := &dataPlanesForget{app: a}
	return &cobra.Command{
		Use:   "forget ID",
		Short: "Drop a data plane that is not connected and will not return",
		Long: `Drop a data plane that is not connected and will not return.

It then no longer counts as one that may still accept a revoked key. Should it return after all, it is listed again.`,
		Args:              operands(1, 1, "ID"),
		ValidArgsFunction: a.complete(completeDataPlanes(gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED)),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
}

func (o *dataPlanesForget) run(ctx context.Context, id string) error {
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := call(ctx, c, c.dataPlanes.ForgetDataPlane, &gatewayv1.ForgetDataPlaneRequest{Id: id}); err != nil {
		return err
	}
	if o.app.json() {
		return render.Object(o.app.Stdout, render.Forgotten{ID: id})
	}
	_, err = fmt.Fprintf(o.app.Stdout, "forgot %s\n", render.Clean(id))
	return err
}
