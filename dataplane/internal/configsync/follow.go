package configsync

import (
	"fmt"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// hello says who this data plane is and what it has.
func (c *Client) hello() *gatewayv1.Hello {
	h := c.replica.hello()
	h.Id, h.Instance, h.Version, h.Address = c.opts.ID, c.instance, c.opts.Version, c.opts.Address()
	h.Middleware = c.opts.Live.Middleware()
	h.TimeUs = time.Now().UnixMicro()
	return h
}

func (r *replica) hello() *gatewayv1.Hello {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.followLocked(false)
	r.forgetAnew() // this Hello is what was asked for
	h := &gatewayv1.Hello{Epoch: r.epochLocked(), Rejected: r.config.rejection, Unusable: r.keys.name(nil)}
	for _, p := range r.parts() {
		p.staging = nil
		if p.present && !p.broken && p.state.Epoch == h.Epoch {
			h.Parts = append(h.Parts, partState(p.id, p.state))
		}
	}
	for _, s := range *r.serving.Load() {
		if !sameAsReceived(h.Parts, s) {
			h.Serving = append(h.Serving, s)
		}
	}
	return h
}

func sameAsReceived(received []*gatewayv1.PartState, s *gatewayv1.PartState) bool {
	for _, have := range received {
		if have.GetPart() == s.GetPart() {
			return have.GetRevision() == s.GetRevision()
		}
	}
	return false
}

// epochLocked returns the epoch that was followed last. While a new one is taken over, one part may still be of the one
// before it.
func (r *replica) epochLocked() string {
	if r.config.state.Generation > r.keys.state.Generation {
		return r.config.state.Epoch
	}
	return r.keys.state.Epoch
}

// generationLocked returns the generation of an epoch that is followed now.
func (r *replica) generationLocked(epoch string) uint64 {
	newest := max(r.config.state.Generation, r.keys.state.Generation)
	if epoch == r.epochLocked() {
		return newest
	}
	return newest + 1
}

// takeWelcome decides whether this store is followed. It may come again in the same stream.
func (r *replica) takeWelcome(w *gatewayv1.Welcome) replies {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.followLocked(false)
	r.epoch = w.GetEpoch()
	r.config.staging, r.keys.staging = nil, nil
	if reason := w.GetForeign(); reason != "" {
		r.link.Store(linkForeign)
		r.opts.Log.Error("control plane has another history, serving what is here", "reason", reason)
		return nil
	}
	if err := r.mayFollowLocked(w); err != nil {
		r.link.Store(linkForeign)
		r.opts.Log.Error("control plane is not followed, serving what is here", "err", err)
		return refuse(w, err)
	}
	r.followLocked(true)
	for _, p := range r.parts() { // all before the first is taken over
		p.target, p.refused = stateOf(w.GetParts(), p.id).GetRevision(), 0
	}
	r.link.Store(linkFollowing)
	var out replies
	for _, s := range w.GetParts() {
		if p := r.partLocked(s.GetPart()); p != nil {
			out = append(out, r.alignLocked(p, s)...)
		}
	}
	return append(out, r.serveLocked()...)
}

// refuse tells a control plane that sees no reason why it is not followed.
func refuse(w *gatewayv1.Welcome, why error) (out replies) {
	for _, s := range w.GetParts() {
		out = append(out, message(&gatewayv1.Rejected{Part: s.GetPart(), Revision: s.GetRevision(), Reason: why.Error()}))
	}
	return out
}

func (r *replica) partLocked(id gatewayv1.Part) *part {
	switch id {
	case gatewayv1.Part_PART_CONFIG:
		return &r.config.part
	case gatewayv1.Part_PART_KEYS:
		return &r.keys.part
	default:
		return nil
	}
}

// mayFollowLocked returns why the store behind w does not descend from what is here. Parts of an epoch before the current
// one were judged when that was followed.
func (r *replica) mayFollowLocked(w *gatewayv1.Welcome) error {
	if w.GetEpoch() == "" {
		return fmt.Errorf("welcome: no epoch")
	}
	if r.config.state.Revision == 0 && r.keys.state.Revision == 0 {
		return nil // there is nothing here to lose
	}
	for _, p := range r.parts() {
		if p.state.Epoch != r.epochLocked() {
			continue
		}
		if p.state.Epoch != w.GetEpoch() {
			if !covers(w.GetLineage(), p.state.Epoch, p.state.Revision) {
				return fmt.Errorf("%v: epoch %q does not descend from revision %d of epoch %q", p.id, w.GetEpoch(), p.state.Revision, p.state.Epoch)
			}
			continue
		}
		if newest := stateOf(w.GetParts(), p.id).GetRevision(); p.state.Revision > newest {
			return fmt.Errorf("%v: went back to revision %d in epoch %q, here is %d", p.id, newest, w.GetEpoch(), p.state.Revision)
		}
	}
	return nil
}

func covers(lineage []*gatewayv1.Ancestor, epoch string, revision uint64) bool {
	for _, a := range lineage {
		if a.GetEpoch() == epoch && revision <= a.GetRevision() {
			return true
		}
	}
	return false
}

func stateOf(states []*gatewayv1.PartState, id gatewayv1.Part) *gatewayv1.PartState {
	for _, s := range states {
		if s.GetPart() == id {
			return s
		}
	}
	return nil
}

// alignLocked takes p over into the store's epoch without a transfer, if the store has exactly what is here: after a
// change of epoch, or if there is nothing on both sides.
func (r *replica) alignLocked(p *part, s *gatewayv1.PartState) replies {
	want, err := gatewayv1.ParseDigest(s.GetDigest())
	switch {
	case err != nil, p.broken, p.present && p.state.Epoch == r.epoch:
		return nil
	case want != p.state.Digest, s.GetCount() != p.state.Count:
		return nil
	case !p.present && p.id == gatewayv1.Part_PART_CONFIG:
		return nil // no configuration is nothing to serve
	}
	p.present = true
	p.state.Generation = r.generationLocked(r.epoch)
	p.state.Epoch, p.state.Revision = r.epoch, s.GetRevision()
	began := time.Now()
	if p.id == gatewayv1.Part_PART_KEYS {
		r.saveKeysLocked(nil)
		return r.appliedKeysLocked(nil, began)
	}
	return r.takeConfigLocked(nil, began)
}
