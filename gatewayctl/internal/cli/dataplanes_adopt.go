package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// dataPlanesAdopt is "dataplanes adopt".
type dataPlanesAdopt struct {
	app    *app
	all    bool
	yes    bool
	dryRun bool
}

func (a *app) dataPlanesAdoptCommand() *cobra.Command {
	o := &dataPlanesAdopt{app: a}
	cmd := &cobra.Command{
		Use:   "adopt ID... | --all",
		Short: "Make foreign data planes follow this control plane's store",
		Long: `Make foreign data planes follow this control plane's store.

A foreign data plane serves what another store's history gave it. Adopting it may revive keys that were revoked there, and
drop keys that only it knows: each one is listed before anything happens. Others that hold no more of the same history
come along and are named too. On a terminal you are asked to confirm (--yes does not ask); otherwise adoption goes on.`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case o.all == (len(args) > 0):
				return usagef("want either IDs or --all")
			case slices.Contains(args, ""):
				return usagef(`got "" (want either IDs or --all)`)
			}
			return nil
		},
		ValidArgsFunction: a.complete(completeDataPlanes(gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN)),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "adopt every connected foreign data plane")
	f.BoolVar(&o.yes, "yes", false, "do not ask")
	f.BoolVar(&o.dryRun, "dry-run", false, "only list the keys that would be revived or dropped")
	return cmd
}

func (o *dataPlanesAdopt) run(ctx context.Context, ids []string) error {
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	req := &gatewayv1.AdoptDataPlanesRequest{Ids: ids, All: o.all, DryRun: o.dryRun}
	shown := changes{}
	if o.app.Asks && !o.yes && !o.dryRun {
		if shown, err = o.ask(ctx, c, req); err != nil {
			return err
		}
	}
	adoption, err := o.adopt(ctx, c, req, shown)
	if err != nil {
		return err
	}
	if o.app.json() {
		return render.Object(o.app.Stdout, adoption)
	}
	return render.AdoptionLine(o.app.Stdout, adoption)
}

// changes are the key changes that a person has seen.
type changes map[render.KeyChange]bool

// ask lists what the adoption would do and returns that list once a person has agreed.
func (o *dataPlanesAdopt) ask(ctx context.Context, c *client, req *gatewayv1.AdoptDataPlanesRequest) (changes, error) {
	shown := changes{}
	plan := &gatewayv1.AdoptDataPlanesRequest{Ids: req.GetIds(), All: req.GetAll(), DryRun: true}
	adoption, err := o.adopt(ctx, c, plan, shown)
	if err != nil || len(adoption.Adopted) == 0 {
		return shown, err
	}
	revived := 0
	for change := range shown {
		if change.Revived {
			revived++
		}
	}
	fmt.Fprintf(o.app.Stderr, "adopt %s: keys revived: %d, dropped: %d. Go on? [y/N] ",
		render.Clean(strings.Join(adoption.Adopted, ", ")), revived, len(shown)-revived)
	answer, err := o.app.readLine(ctx)
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return shown, nil
	default:
		return nil, errors.New("not confirmed, nothing changed")
	}
}

// adopt sends the request and prints each key change that is not in shown, to which it adds it. With JSON nothing is
// printed; the result holds the changes.
func (o *dataPlanesAdopt) adopt(ctx context.Context, c *client, req *gatewayv1.AdoptDataPlanesRequest, shown changes) (render.Adoption, error) {
	var epoch string
	var adopted []string
	all := []render.KeyChange{}
	for page, err := range pages(ctx, c, c.dataPlanes.AdoptDataPlanes, req) {
		if err != nil {
			return render.Adoption{}, doubt(c, req, err)
		}
		for _, change := range page.GetChanges() {
			converted := render.NewKeyChange(change)
			if o.app.json() {
				all = append(all, converted)
			} else if !shown[converted] {
				if err := render.KeyChangeLine(o.app.Stdout, change); err != nil {
					return render.Adoption{}, err
				}
			}
			shown[converted] = true
		}
		epoch, adopted = cmp.Or(page.GetEpoch(), epoch), append(adopted, page.GetAdopted()...)
	}
	out := render.NewAdoption(epoch, adopted)
	out.Changes = all
	return out, nil
}

// doubt says that an adoption without an answer may have happened.
func doubt(c *client, req *gatewayv1.AdoptDataPlanesRequest, err error) error {
	if req.GetDryRun() || !c.uncertain(err) {
		return err
	}
	return fmt.Errorf("%w; the adoption may or may not have begun: 'gatewayctl dataplanes list' tells", err)
}
