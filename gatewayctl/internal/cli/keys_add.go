package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// weakSecret is the length below which a secret of the caller's own is warned about. What is stored is a plain
// SHA-256: right for something random, quickly searched for something short.
const weakSecret = 20

// keysAdd is "keys add".
type keysAdd struct {
	app       *app
	key       string
	expiresIn string
	services  []string // nil: the flag was not given
	wait      bool
}

func (a *app) keysAddCommand() *cobra.Command {
	o := &keysAdd{app: a}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add an API key and show its secret once",
		Long: `Add an API key and show its secret once.

The secret is made here. The control plane gets the name and the SHA-256 of the secret, nothing else, so nobody can show
it again. With --key it is yours: up to 256 characters of printable ASCII, without spaces at the ends. One shorter than
20 characters is taken with a warning, since its hash can be searched. Repeating the command with the same name and
--key is safe.`,
		Example: `  gatewayctl keys add alice --expires-in 90d --services users,orders --wait
  gatewayctl keys add bob --key - < secret.txt`,
		Args:              operands(1, 1, "NAME"),
		ValidArgsFunction: fixed(),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.key, "key", "", "a secret of your own; - reads it from stdin, where no list of processes shows it")
	f.StringVar(&o.expiresIn, "expires-in", never, "how long it is valid: 90d, 12h, 1w or never")
	f.StringSliceVar(&o.services, "services", nil, "the services that it admits (default: all)")
	waitFlag(cmd, &o.wait)
	_ = cmd.RegisterFlagCompletionFunc("services", a.complete(completeServices))
	_ = cmd.RegisterFlagCompletionFunc("expires-in", fixed(never))
	_ = cmd.RegisterFlagCompletionFunc("key", fixed())
	return cmd
}

func (o *keysAdd) run(ctx context.Context, name string) error {
	expires, err := o.validate(name)
	if err != nil {
		return err
	}
	secret, err := o.secret(ctx)
	if err != nil {
		return err
	}
	hash := apikey.Hash(secret)
	req := &gatewayv1.AddKeyRequest{
		Name: name, Sha256: hash[:], SecretId: apikey.SecretID(secret), ExpiresAtMs: expires, Services: o.services,
	}
	i := issue{
		app: o.app, name: name, secret: secret, made: o.key == "", wait: o.wait,
		again: "the same command with --key and this secret is safe to repeat",
	}
	return i.send(ctx, func(c *client) (answer, error) { return call(ctx, c, c.keys.AddKey, req) })
}

// validate checks what can be checked without the control plane, and returns when the key expires in Unix milliseconds.
func (o *keysAdd) validate(name string) (expires int64, err error) {
	if err := apikey.ValidName(name); err != nil {
		return 0, usage(err)
	}
	if o.services != nil && len(o.services) == 0 {
		return 0, usagef("--services: got none (leave it out to admit all)")
	}
	for _, service := range o.services {
		if err := apikey.ValidName(service); err != nil {
			return 0, usagef("--services: %w", err)
		}
	}
	return o.app.expiry(o.expiresIn)
}

// secret makes a secret, or takes the caller's own.
func (o *keysAdd) secret(ctx context.Context) (string, error) {
	switch o.key {
	case "":
		return apikey.Generate()
	case "-":
		secret, err := o.app.readLine(ctx)
		if err != nil {
			return "", err
		}
		return secret, o.checkSecret(secret)
	default:
		return o.key, o.checkSecret(o.key)
	}
}

// checkSecret refuses what no client could send as a header, and warns about what can be guessed. It never repeats the
// secret.
func (o *keysAdd) checkSecret(secret string) error {
	if err := apikey.ValidSecret(secret); err != nil {
		return usagef("--key: %w", err)
	}
	if _, err := apikey.Parse(secret); errors.Is(err, apikey.ErrChecksum) {
		return usagef("--key: %w", err)
	}
	if len(secret) < weakSecret {
		fmt.Fprintf(o.app.Stderr, "gatewayctl: warning: --key: %d characters can be guessed (want %d or more)\n",
			len(secret), weakSecret)
	}
	return nil
}
