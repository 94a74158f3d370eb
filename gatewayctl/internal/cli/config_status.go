package cli

import (
	"context"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// configStatus is "config status".
type configStatus struct {
	app *app
}

func (a *app) configStatusCommand() *cobra.Command {
	o := &configStatus{app: a}
	return &cobra.Command{
		Use:               "status",
		Short:             "Show which configuration is in force and what is wrong with newer content of its file",
		Args:              operands(0, 0, "none"),
		ValidArgsFunction: fixed(),
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *configStatus) run(ctx context.Context) error {
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	resp, err := call(ctx, c, c.config.GetConfigStatus, &gatewayv1.GetConfigStatusRequest{})
	if err != nil {
		return err
	}
	if o.app.json() {
		return render.Object(o.app.Stdout, render.NewConfigStatus(resp))
	}
	var planes []*gatewayv1.DataPlane
	for page, err := range pages(ctx, c, c.dataPlanes.ListDataPlanes, &gatewayv1.ListDataPlanesRequest{}) {
		if err != nil {
			return err
		}
		planes = append(planes, page.GetDataplanes()...)
	}
	return render.ConfigStatusText(o.app.Stdout, o.app.style(), resp, planes)
}
