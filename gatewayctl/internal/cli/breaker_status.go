package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// breakerStatus is "breaker status".
type breakerStatus struct {
	app   *app
	all   bool
	watch bool
}

func (a *app) breakerStatusCommand() *cobra.Command {
	o := &breakerStatus{app: a}
	cmd := &cobra.Command{
		Use:   "status [SERVICE]",
		Short: "Show each circuit breaker on each data plane",
		Long: fmt.Sprintf(`Show each circuit breaker on each data plane, side by side, and where they disagree.

More than %d breakers: only services with something wrong are shown and the rest is counted, unless --all is given; JSON
always holds everything. An open breaker whose time is up stays open until a request becomes its probe.

With --watch, a terminal is redrawn; otherwise each change is one more line (-o json: one object a line). A breaker that
is gone is shown as such once; its state in JSON is null.`, render.Long),
		Args:              operands(0, 1, "at most one SERVICE"),
		ValidArgsFunction: a.complete(completeServices),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), append(args, "")[0])
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "show every breaker of a long table")
	f.BoolVar(&o.watch, "watch", false, "go on with each change until interrupted")
	return cmd
}

func (o *breakerStatus) run(ctx context.Context, service string) error {
	if service != "" {
		if err := apikey.ValidName(service); err != nil {
			return usage(err)
		}
	}
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	req := &gatewayv1.ListBreakersRequest{Service: service, Watch: o.watch}
	switch {
	case o.watch:
		return o.runWatch(ctx, c, req)
	case o.app.json():
		return o.list(ctx, c, req)
	default:
		return o.table(ctx, c, req)
	}
}

// list writes JSON as it arrives.
func (o *breakerStatus) list(ctx context.Context, c *client, req *gatewayv1.ListBreakersRequest) error {
	array, count := render.NewArray(o.app.Stdout), 0
	for page, err := range pages(ctx, c, c.breakers.ListBreakers, req) {
		if err != nil {
			return err
		}
		if err := render.AddAll(array, page.GetBreakers(), render.NewBreaker); err != nil {
			return err
		}
		count += len(page.GetBreakers())
	}
	if err := unreported(req.GetService(), count); err != nil {
		return err
	}
	return array.Close()
}

// table collects everything first: rows are sorted by what is wrong.
func (o *breakerStatus) table(ctx context.Context, c *client, req *gatewayv1.ListBreakersRequest) error {
	var all []*gatewayv1.DataPlaneBreaker
	for page, err := range pages(ctx, c, c.breakers.ListBreakers, req) {
		if err != nil {
			return err
		}
		all = append(all, page.GetBreakers()...)
	}
	if err := unreported(req.GetService(), len(all)); err != nil {
		return err
	}
	return render.Breakers(o.app.Stdout, o.style(), all)
}

func (o *breakerStatus) style() render.Style {
	s := o.app.style()
	s.All = o.all
	return s
}

// unreported is the error of a service of which nothing was heard.
func unreported(service string, count int) error {
	if service == "" || count > 0 {
		return nil
	}
	return fmt.Errorf("no data plane has reported a circuit breaker of a service %q", service)
}
