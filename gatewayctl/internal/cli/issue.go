package cli

import (
	"context"
	"errors"
	"fmt"

	"apigateway/gatewayctl/internal/render"
	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// issue brings a secret to the person who asked for it, whatever happens to the request that stores it: only this
// process knows it.
type issue struct {
	app    *app
	client *client
	name   string
	secret string
	made   bool   // here, not by the caller, who knows it already
	again  string // what is safe to do when nobody knows whether the secret was stored
	wait   bool
}

// answer is what the control plane says of a key whose secret it stored.
type answer interface {
	GetKey() *gatewayv1.KeyInfo
	GetRevision() uint64
}

// send has a request store the secret, and shows what became of it.
func (i *issue) send(ctx context.Context, store func(*client) (answer, error)) error {
	c, err := i.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	i.client = c
	stored, err := store(c)
	if err != nil {
		return i.failed(err)
	}
	return i.stored(ctx, stored.GetKey(), stored.GetRevision())
}

// failed ends a request that was refused, or of which nobody knows what became. In the second case the secret may be
// valid, so it is shown.
func (i *issue) failed(err error) error {
	if !i.client.uncertain(err) {
		return err
	}
	doubt := fmt.Errorf("%w; %s may or may not be stored: 'gatewayctl keys show %s' lists the secret %s if it is, and %s",
		err, i.name, i.name, apikey.SecretID(i.secret), i.again)
	if i.app.json() {
		return errors.Join(doubt, i.show(func() error { return render.Object(i.app.Stdout, render.Issued{Secret: i.secret}) }))
	}
	if !i.made {
		return doubt
	}
	return errors.Join(doubt, i.show(i.showLine))
}

// stored shows the secret and, with --wait, where it is served.
func (i *issue) stored(ctx context.Context, key *gatewayv1.KeyInfo, revision uint64) error {
	if i.app.json() {
		return i.storedJSON(ctx, key, revision)
	}
	if i.made {
		if err := i.show(i.showLine); err != nil {
			return err
		}
	}
	if !i.wait {
		_, err := fmt.Fprintf(i.app.Stdout, "%s stored, revision %d\n", i.name, revision)
		return err
	}
	return i.app.prove(ctx, i.client, i.change(revision)).print(i.app)
}

// storedJSON writes one object, after the wait, however that ended.
func (i *issue) storedJSON(ctx context.Context, key *gatewayv1.KeyInfo, revision uint64) error {
	info := render.NewKey(key)
	out := render.Issued{Key: &info, Secret: i.secret, Revision: &revision}
	var unproven error
	if i.wait {
		p := i.app.prove(ctx, i.client, i.change(revision))
		out.Rollout, unproven = render.NewRollout(p.rollout), p.err
	}
	if err := i.show(func() error { return render.Object(i.app.Stdout, out) }); err != nil {
		return err
	}
	return unproven
}

func (i *issue) change(revision uint64) change {
	return change{revision: revision, entry: i.name, done: "serving"}
}

func (i *issue) showLine() error {
	_, err := fmt.Fprintf(i.app.Stdout, "%s      shown once: store it now\n", i.secret)
	return err
}

// show runs what writes the secret to stdout. If that cannot be written to, stderr is the last place left.
func (i *issue) show(write func() error) error {
	err := write()
	if err == nil || !i.made {
		return err
	}
	return fmt.Errorf("stdout: %s; the secret of %s is %s", err.Error(), i.name, i.secret) // not %w: a closed pipe is said nothing about
}
