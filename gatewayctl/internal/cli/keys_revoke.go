package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// keysRevoke is "keys revoke".
type keysRevoke struct {
	app  *app
	wait bool
}

func (a *app) keysRevokeCommand() *cobra.Command {
	o := &keysRevoke{app: a}
	cmd := &cobra.Command{
		Use:   "revoke NAME|ID",
		Short: "End all secrets of a key, or one secret by its id",
		Long: `End all secrets of a key, or one secret by its id.

With --wait, a data plane that was seen in the last 24 hours and is not connected counts as one that may still accept
the key.`,
		Args:              operands(1, 1, "NAME or the ID of a secret"),
		ValidArgsFunction: a.complete(completeKeys),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	waitFlag(cmd, &o.wait)
	return cmd
}

func (o *keysRevoke) run(ctx context.Context, nameOrID string) error {
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	resp, err := call(ctx, c, c.keys.RevokeKey, &gatewayv1.RevokeKeyRequest{NameOrId: nameOrID})
	if err != nil {
		if c.uncertain(err) {
			return fmt.Errorf("%w; %s may or may not be revoked: repeat the command", err, nameOrID)
		}
		return err
	}
	if o.app.json() {
		return o.json(ctx, c, resp)
	}
	ids := resp.GetSecretIds()
	_, err = fmt.Fprintf(o.app.Stdout, "%s: revoked %s, revision %d\n",
		render.Clean(resp.GetName()), render.Clean(strings.Join(ids, ", ")), resp.GetRevision())
	if err != nil || !o.wait {
		return err
	}
	return o.app.prove(ctx, c, o.change(resp)).print(o.app)
}

func (o *keysRevoke) json(ctx context.Context, c *client, resp *gatewayv1.RevokeKeyResponse) error {
	out := render.Revoked{Revision: resp.GetRevision()}
	var unproven error
	if o.wait {
		p := o.app.prove(ctx, c, o.change(resp))
		out.Rollout, unproven = render.NewRollout(p.rollout), p.err
	}
	if err := render.Object(o.app.Stdout, out); err != nil {
		return err
	}
	return unproven
}

func (o *keysRevoke) change(resp *gatewayv1.RevokeKeyResponse) change {
	return change{
		revision: resp.GetRevision(), entry: resp.GetName(), revocation: true,
		done: "revoked", undone: ", may still accept the key",
	}
}
