package cli

import (
	"context"

	"github.com/spf13/cobra"

	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// keysRotate is "keys rotate".
type keysRotate struct {
	app     *app
	overlap string
	expires string
	wait    bool
}

func (a *app) keysRotateCommand() *cobra.Command {
	o := &keysRotate{app: a}
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Give a key a new secret and end the old one later",
		Long: `Give a key a new secret and end the old one later.

Both are valid during the overlap. The new secret is made here and shown once, as by keys add. It is valid as long as
the one before was made to be, counted from now, unless --expires-in says otherwise.`,
		Args:              operands(1, 1, "NAME"),
		ValidArgsFunction: a.complete(completeKeys),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.overlap, "overlap", "24h", "how long the old secret stays valid: 24h, 7d; 0s ends it at once")
	cmd.Flags().StringVar(&o.expires, "expires-in", "", "how long the new secret is valid: 90d, 12h, never (default: as long as the one before)")
	waitFlag(cmd, &o.wait)
	_ = cmd.RegisterFlagCompletionFunc("expires-in", fixed(never))
	_ = cmd.RegisterFlagCompletionFunc("overlap", fixed())
	return cmd
}

func (o *keysRotate) run(ctx context.Context, name string) error {
	req, err := o.request(name)
	if err != nil {
		return err
	}
	secret, err := apikey.Generate()
	if err != nil {
		return err
	}
	hash := apikey.Hash(secret)
	req.Sha256, req.SecretId = hash[:], apikey.SecretID(secret)
	i := issue{
		app: o.app, name: name, secret: secret, made: true, wait: o.wait,
		again: "the command can be repeated if it does not",
	}
	return i.send(ctx, func(c *client) (answer, error) { return call(ctx, c, c.keys.RotateKey, req) })
}

// request checks what can be checked without the control plane, and returns the request without the new secret.
func (o *keysRotate) request(name string) (*gatewayv1.RotateKeyRequest, error) {
	if err := apikey.ValidName(name); err != nil {
		return nil, usage(err)
	}
	overlap, err := parseDuration(o.overlap)
	if err != nil {
		return nil, usagef("--overlap: %w", err)
	}
	req := &gatewayv1.RotateKeyRequest{Name: name, OverlapMs: overlap.Milliseconds()}
	if o.expires != "" {
		expires, err := o.app.expiry(o.expires)
		if err != nil {
			return nil, err
		}
		req.ExpiresAtMs = &expires
	}
	return req, nil
}
