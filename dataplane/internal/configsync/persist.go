package configsync

import (
	"slices"
	"time"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// saveLocked brings p to the cache: the records if there are any, otherwise everything. What cannot be written is served
// all the same and told as not durable.
func (r *replica) saveLocked(p *part, fresh []*gatewayv1.Record, all func() []cache.Entry) {
	defer func() { p.tried = true }()
	dir := r.opts.Cache
	if dir == nil {
		return
	}
	var err error
	if len(fresh) > 0 {
		err = dir.Append(p.id, fresh)
	} else {
		err = dir.Replace(p.id, p.state, slices.Values(all()))
	}
	if err != nil && !p.unsaved {
		r.opts.Log.Error("cache cannot be written, the change is in effect but does not survive a restart", "part", p.id, "err", err)
	}
	if err != nil {
		r.metrics.cacheErrors.Inc()
	}
	r.setUnsavedLocked(p, err != nil)
	p.saved = false
	if err == nil && dir.NeedsCheckpoint(p.id) {
		r.compactLocked(p, all)
	}
}

// compactLocked writes a checkpoint in the background.
func (r *replica) compactLocked(p *part, all func() []cache.Entry) {
	began := time.Now()
	entries := all()
	r.opts.Cache.Compact(p.id, p.state, slices.Values(entries), func(err error) {
		if err != nil {
			r.metrics.cacheErrors.Inc()
			r.opts.Log.Warn("no new checkpoint of the cache", "part", p.id, "err", err)
			return
		}
		r.opts.Log.Debug("checkpoint written", "part", p.id, "entries", len(entries), "took", time.Since(began))
		r.mu.Lock()
		defer r.mu.Unlock()
		if p.unsaved {
			r.setUnsavedLocked(p, false)
			p.saved = true
		}
	})
}

func (r *replica) setUnsavedLocked(p *part, unsaved bool) {
	p.unsaved = unsaved
	value := 0.0
	if unsaved {
		value = 1
	}
	r.metrics.unsaved.WithLabelValues(partLabel(p.id)).Set(value)
}

// retryCache tries to bring to the cache what it refused, and tells what it has taken since.
func (r *replica) retryCache() (out replies) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opts.Cache == nil || !r.follows {
		return nil
	}
	if k := &r.keys; k.saved {
		k.saved = false
		out = append(out, r.appliedKeysLocked(nil, time.Now())...)
	} else if k.unsaved && !k.broken && r.opts.Cache.NeedsCheckpoint(k.id) {
		r.compactLocked(&k.part, k.all)
	}
	if c := &r.config; c.saved {
		c.saved, c.unwritten, c.owed = false, c.rejection != nil, time.Now()
		out = append(out, r.owedLocked()...)
	} else if c.unsaved && !c.broken && c.rejection == nil && r.opts.Cache.NeedsCheckpoint(c.id) {
		r.compactLocked(&c.part, c.all)
	}
	return out
}
