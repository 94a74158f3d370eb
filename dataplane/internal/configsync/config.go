package configsync

import (
	"maps"
	"time"

	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/snapshot"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// configPart is the configuration: received, and built from it.
type configPart struct {
	part
	entries    map[cache.Ref][]byte
	received   gatewayv1.Digest    // of entries
	built      *snapshot.Snapshot  // newest good build; nil: none
	builtState cache.State         // what built was built from
	rejection  *gatewayv1.Rejected // what was received is not what was built, and why; nil: it is
	passing    bool                // the rejection is for files of this machine: another build may succeed
	unwritten  bool                // the cache has not all that came before the last message
	owed       time.Time           // Applied is to be sent when built is served, counted from here; zero: nothing
}

func (c *configPart) restore(content *cache.Content) {
	c.present, c.tried = true, true
	c.state, c.received = content.State, content.State.Digest
	c.entries = content.Entries
}

func (c *configPart) put(ref cache.Ref, value []byte) {
	c.remove(ref)
	c.entries[ref] = value
	c.received = c.received.Add(gatewayv1.EntryDigest(ref.Kind, ref.ID, value))
}

func (c *configPart) remove(ref cache.Ref) {
	if old, ok := c.entries[ref]; ok {
		c.received = c.received.Sub(gatewayv1.EntryDigest(ref.Kind, ref.ID, old))
		delete(c.entries, ref)
	}
}

// takeConfigLocked applies records, builds, serves, saves and answers. Without records what was received is there already.
func (r *replica) takeConfigLocked(fresh []*gatewayv1.Record, began time.Time) replies {
	c := &r.config
	for _, rec := range fresh {
		for _, ref := range rec.GetRemoves() {
			c.remove(cache.Ref{Kind: ref.GetKind(), ID: ref.GetId()})
		}
		for _, e := range rec.GetPuts() {
			c.put(cache.Ref{Kind: e.GetKind(), ID: e.GetId()}, e.GetValue())
		}
	}
	if len(fresh) > 0 {
		last := fresh[len(fresh)-1]
		if want, err := gatewayv1.ParseDigest(last.GetDigestAfter()); err != nil || want != c.received {
			r.askAnew(r.resyncLocked(&c.part, "digest of the records differs"))
			return nil
		}
		moved := c.state.Epoch != r.epoch // the file names one epoch
		r.advanceLocked(&c.part, last.GetRevision(), c.received, len(c.entries))
		c.unwritten = c.unwritten || moved
	}
	if !r.buildLocked() {
		return append(r.serveLocked(), message(c.rejection)) // what was built before need not wait for this revision any more
	}
	return r.builtLocked(fresh, began)
}

// builtLocked serves, saves and reports what was built.
func (r *replica) builtLocked(fresh []*gatewayv1.Record, began time.Time) replies {
	r.config.owed = began
	served := r.publishLocked()
	r.saveConfigLocked(fresh)
	if served {
		r.readyLocked()
		return r.owedLocked()
	}
	return nil
}

// retryConfig builds again what was rejected for files of this machine, and tells what became of that if it is something new.
func (r *replica) retryConfig() replies {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.config
	if c.rejection == nil || !c.passing || !r.follows || c.broken {
		return nil
	}
	before := c.rejection
	switch {
	case r.buildLocked():
		return r.builtLocked(nil, time.Now())
	case c.rejection != before:
		return replies{message(c.rejection)}
	}
	return nil
}

// buildLocked builds what was received. If that cannot be, the earlier build stays.
func (r *replica) buildLocked() bool {
	c := &r.config
	state := snapshot.State{Revision: c.state.Revision, Digest: c.state.Digest, Services: make(map[string][]byte, len(c.entries))}
	for ref, value := range c.entries {
		switch {
		case ref.Kind == gatewayv1.Kind_KIND_SERVICE:
			state.Services[ref.ID] = value
		case ref.Kind == gatewayv1.Kind_KIND_SETTINGS && ref.ID == "":
			state.Settings = value
		default:
			state.Foreign = append(state.Foreign, ref.ID)
		}
	}
	built, why := snapshot.Build(state, r.opts.Live)
	if why != nil {
		c.passing, c.unwritten = why.Passing, true
		if old := c.rejection; old.GetRevision() == c.state.Revision && old.GetReason() == why.Reason {
			return false // it was told
		}
		c.rejection = &gatewayv1.Rejected{Part: c.id, Revision: c.state.Revision, Entry: why.Entry, Reason: why.Reason}
		r.metrics.rejected.Inc()
		r.opts.Log.Error("configuration rejected, serving previous", "revision", c.state.Revision, "entry", why.Entry, "reason", why.Reason)
		return false
	}
	c.rejection, c.built, c.builtState = nil, built, c.state
	return true
}

// serveLocked serves the newest build, if it is time, and returns the Applied that is owed for it.
func (r *replica) serveLocked() replies {
	if !r.publishLocked() {
		return nil
	}
	return r.owedLocked()
}

// owedLocked returns the Applied of a build that is being served now. Another epoch's revision is none to
// report, nor one that Hello did not name because what followed on it contradicts its digest.
func (r *replica) owedLocked() replies {
	c := &r.config
	if c.owed.IsZero() {
		return nil
	}
	took := time.Since(c.owed)
	c.owed = time.Time{}
	if c.builtState.Epoch != r.epoch || c.broken {
		return nil
	}
	r.opts.Log.Info("configuration applied", "revision", c.builtState.Revision, "services", c.built.Len(), "took", took)
	return replies{message(&gatewayv1.Applied{
		Part:       c.id,
		Revision:   c.builtState.Revision,
		Digest:     c.builtState.Digest.Bytes(),
		TookUs:     took.Microseconds(),
		NotDurable: c.unsaved,
	})}
}

func (r *replica) saveConfigLocked(fresh []*gatewayv1.Record) {
	c := &r.config
	if c.unwritten || !c.tried {
		fresh = nil
	}
	r.saveLocked(&c.part, fresh, c.all)
	c.unwritten = c.unsaved
}

// all returns what is there now as a list that no later change touches.
func (c *configPart) all() []cache.Entry {
	list := make([]cache.Entry, 0, len(c.entries))
	for ref, value := range maps.All(c.entries) {
		list = append(list, cache.Entry{Ref: ref, Value: value})
	}
	return list
}
