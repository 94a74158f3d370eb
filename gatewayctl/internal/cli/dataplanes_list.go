package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// dataPlanesList is "dataplanes list".
type dataPlanesList struct {
	app *app
	all bool
}

func (a *app) dataPlanesListCommand() *cobra.Command {
	o := &dataPlanesList{app: a}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List data planes, what each serves, and why one does not",
		Long: fmt.Sprintf(`List data planes, what each serves, and why one does not.

serving       serves the newest revision
lagging       connected, has not answered for the newest revision
rejected      refused the newest configuration, serves the one before
foreign       follows another store's history, serves what it has until it is adopted
disconnected  not connected; it serves what it has

More than %d data planes: those that serve are only counted, unless --all is given; JSON always holds everything.`, render.Long),
		Args:              operands(0, 0, "none"),
		ValidArgsFunction: fixed(),
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "show every data plane of a long table")
	return cmd
}

func (o *dataPlanesList) run(ctx context.Context) error {
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	array := render.NewArray(o.app.Stdout)
	var all []*gatewayv1.DataPlane
	for page, err := range pages(ctx, c, c.dataPlanes.ListDataPlanes, &gatewayv1.ListDataPlanesRequest{}) {
		if err != nil {
			return err
		}
		if !o.app.json() {
			all = append(all, page.GetDataplanes()...)
		} else if err := render.AddAll(array, page.GetDataplanes(), render.NewDataPlane); err != nil {
			return err
		}
	}
	if o.app.json() {
		return array.Close()
	}
	style := o.app.style()
	style.All = o.all
	return render.DataPlanes(o.app.Stdout, style, all)
}
