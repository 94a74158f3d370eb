package cli

import (
	"context"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// keysList is "keys list".
type keysList struct {
	app *app
}

func (a *app) keysListCommand() *cobra.Command {
	o := &keysList{app: a}
	return &cobra.Command{
		Use:               "list",
		Short:             "List the API keys of the file and of the store",
		Args:              operands(0, 0, "none"),
		ValidArgsFunction: fixed(),
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *keysList) run(ctx context.Context) error {
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	array := render.NewArray(o.app.Stdout)
	table := render.NewKeyTable(o.app.Stdout, o.app.style())
	for page, err := range pages(ctx, c, c.keys.ListKeys, &gatewayv1.ListKeysRequest{}) {
		if err != nil {
			return err
		}
		if !o.app.json() {
			err = table.Page(page.GetKeys())
		} else {
			err = render.AddAll(array, page.GetKeys(), render.NewKey)
		}
		if err != nil {
			return err
		}
	}
	if o.app.json() {
		return array.Close()
	}
	return table.Close()
}
