package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// breakerReset is "breaker reset".
type breakerReset struct {
	app       *app
	dataPlane string
}

func (a *app) breakerResetCommand() *cobra.Command {
	o := &breakerReset{app: a}
	cmd := &cobra.Command{
		Use:   "reset SERVICE",
		Short: "Close a service's breaker and clear the watch on its URLs",
		Long: `Close a service's breaker and clear the watch on its URLs, on every connected data plane or on one.

Exit 3 if one of them does not say that it did within --timeout.`,
		Args:              operands(1, 1, "SERVICE"),
		ValidArgsFunction: a.complete(completeServices),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.dataPlane, "dataplane", "", "id of the only data plane to do it (default: all)")
	_ = cmd.RegisterFlagCompletionFunc("dataplane", a.complete(completeDataPlanes()))
	return cmd
}

func (o *breakerReset) run(ctx context.Context, service string) error {
	if err := apikey.ValidName(service); err != nil {
		return usage(err)
	}
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	c.timeout += grace // the control plane waits for --timeout itself
	resp, err := call(ctx, c, c.breakers.ResetBreaker, &gatewayv1.ResetBreakerRequest{
		Service: service, Dataplane: o.dataPlane, TimeoutMs: milliseconds(o.app.timeout),
	})
	if err != nil {
		return err
	}
	if o.app.json() {
		err = render.Object(o.app.Stdout, render.Reset{Rollout: render.NewRollout(resp.GetRollout())})
	} else {
		err = render.Proof{Rollout: resp.GetRollout(), Done: "closed"}.Write(o.app.Stdout, o.app.style())
	}
	return errors.Join(err, o.verdict(resp.GetRollout()))
}

// verdict is nil if every data plane that was asked did it, and one was.
func (o *breakerReset) verdict(r *gatewayv1.Rollout) error {
	refused := len(r.GetLagging())+len(r.GetRejected()) > 0
	switch {
	case refused && o.dataPlane != "":
		return &exitError{exitUnproven, fmt.Errorf("not closed on data plane %q", o.dataPlane)}
	case refused:
		return &exitError{exitUnproven, errors.New("not closed on every data plane")}
	case len(r.GetApplied()) > 0:
		return nil
	case o.dataPlane != "":
		return &exitError{exitUnproven, fmt.Errorf("not closed: data plane %q is not connected", o.dataPlane)}
	default:
		return &exitError{exitUnproven, errors.New("not closed: no data plane is connected")}
	}
}
