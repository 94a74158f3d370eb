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
	wait    bool
}

func (a *app) keysRotateCommand() *cobra.Command {
	o := &keysRotate{app: a}
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Give a key a new secret and end the old one later",
		Long: `Give a key a new secret and end the old one later.

Both are valid during the overlap. The new secret is made here and shown once, as by keys add.`,
		Args:              operands(1, 1, "NAME"),
		ValidArgsFunction: a.complete(completeKeys),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.overlap, "overlap", "24h", "how long the old secret stays valid: 24h, 7d; 0s ends it at once")
	waitFlag(cmd, &o.wait)
	_ = cmd.RegisterFlagCompletionFunc("overlap", fixed())
	return cmd
}

func (o *keysRotate) run(ctx context.Context, name string) error {
	if err := apikey.ValidName(name); err != nil {
		return usage(err)
	}
	overlap, err := parseDuration(o.overlap)
	if err != nil {
		return usagef("--overlap: %w", err)
	}
	secret, err := apikey.Generate()
	if err != nil {
		return err
	}
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	hash := apikey.Hash(secret)
	resp, err := call(ctx, c, c.keys.RotateKey, &gatewayv1.RotateKeyRequest{
		Name: name, Sha256: hash[:], SecretId: apikey.SecretID(secret), OverlapMs: overlap.Milliseconds(),
	})
	i := issue{app: o.app, client: c, name: name, secret: secret, made: true, wait: o.wait}
	if err != nil {
		return i.failed(err, "the command can be repeated if it does not")
	}
	return i.stored(ctx, resp.GetKey(), resp.GetRevision())
}
