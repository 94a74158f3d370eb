package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// grace is how much longer than the control plane this end waits, so that its last word arrives.
const grace = 2 * time.Second

// change is a stored change of a key that is to be proven.
type change struct {
	revision   uint64
	entry      string // name of the key
	revocation bool
	done       string // what a data plane does that serves it
	undone     string // what ends the line of one that does not
}

// proof is how waiting ended. Nil err: served wherever it has to be; otherwise err exits with 3.
type proof struct {
	change  change
	rollout *gatewayv1.Rollout // newest standing; nil: none came
	err     error
}

// prove waits until every data plane serves a change, or the time is up. A change is stored by then, so whatever goes
// wrong here, also a signal, is only a missing proof.
func (a *app) prove(ctx context.Context, c *client, ch change) proof {
	ctx, cancel := context.WithTimeout(ctx, a.timeout+grace)
	defer cancel()
	c.patient = true // the standing comes at once, then only what changes; ctx bounds the whole
	out := proof{change: ch}
	err := errors.New("the control plane ended its answer early")
	for page, e := range pages(ctx, c, c.rollouts.WatchRollout, &gatewayv1.WatchRolloutRequest{
		Part: gatewayv1.Part_PART_KEYS, Revision: ch.revision, Revocation: ch.revocation,
		TimeoutMs: milliseconds(a.timeout), Entry: ch.entry,
	}) {
		if e != nil {
			err = e
			break
		}
		out.rollout = page.GetRollout()
		if page.GetDone() {
			out.err = verdict(page)
			return out
		}
	}
	out.err = &exitError{exitUnproven, fmt.Errorf("stored, but not proven: %w", err)}
	return out
}

// verdict is nil for a change that is proven.
func verdict(last *gatewayv1.WatchRolloutResponse) error {
	r := last.GetRollout()
	switch {
	case last.GetProven():
		return nil
	case len(r.GetApplied())+len(r.GetLagging())+len(r.GetRejected())+len(r.GetDisconnected()) == 0:
		return &exitError{exitUnproven, errors.New("stored, but not proven: no data plane is connected")}
	default:
		return &exitError{exitUnproven, errors.New("stored, but not proven on every data plane")}
	}
}

// print writes the proof for people.
func (p proof) print(a *app) error {
	if p.rollout == nil {
		_, err := fmt.Fprintf(a.Stdout, "stored, revision %d\n", p.change.revision)
		return errors.Join(p.err, err)
	}
	text := render.Proof{
		Rollout: p.rollout, Done: p.change.done, Undone: p.change.undone,
		Revision: p.change.revision, Revocation: p.change.revocation,
	}
	if err := text.Write(a.Stdout, a.style()); err != nil {
		return errors.Join(p.err, err)
	}
	return p.err
}

// milliseconds is d for a request, in which 0 would mean the control plane's own default.
func milliseconds(d time.Duration) int64 { return max(1, d.Milliseconds()) }
