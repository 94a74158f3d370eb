package configsync

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// The states of replica.link.
const (
	linkDown int32 = iota
	linkFollowing
	linkForeign
)

// replies are what a message is answered with, in order. They are sent when no lock is held.
type replies []*gatewayv1.SyncRequest

// replica is what a data plane has of the control plane's state, and what it serves of it.
type replica struct {
	opts    *Options
	metrics *metrics

	link       atomic.Int32
	ready      atomic.Bool
	drifted    atomic.Bool                            // since the last heartbeat
	serving    atomic.Pointer[[]*gatewayv1.PartState] // for heartbeats, which wait for no change
	configured chan struct{}
	check      chan struct{}     // capacity 1: recompute the digests now
	anew       chan *resyncError // capacity 1: end the stream, so that Hello can ask for a part

	mu        sync.Mutex // below; held while a message is judged, never while one is sent
	config    configPart
	keys      keysPart
	follows   bool   // the current stream's store
	epoch     string // of that store
	whole     bool   // the cache held both parts: a state that was served before
	graceOver bool
	gone      *time.Timer // the grace from the end of the last stream that was followed; nil: none has ended yet
	alone     bool        // it is over, and nothing is followed
}

// part is what both parts have in common.
type part struct {
	id      gatewayv1.Part
	present bool        // something was received, and be it that there is nothing
	state   cache.State // of what was received; its digest was checked
	target  uint64      // newest revision by the last Welcome
	refused uint64      // newest revision since then that was passed over for its size
	broken  bool        // what was received contradicts its digest: asked for whole
	staging *staging    // nil: no snapshot is under way
	unsaved bool        // the last change did not reach the cache
	saved   bool        // the cache has it again, which is still to be told
	tried   bool        // reached the cache, or could not
}

// resyncError ends a stream for a part to be asked for whole.
type resyncError struct {
	part   gatewayv1.Part
	reason string
}

func (e *resyncError) Error() string { return fmt.Sprintf("%v: %s", e.part, e.reason) }

func newReplica(o *Options, m *metrics) *replica {
	r := &replica{
		opts:       o,
		metrics:    m,
		configured: make(chan struct{}),
		check:      make(chan struct{}, 1),
		anew:       make(chan *resyncError, 1),
	}
	r.config.id, r.config.entries = gatewayv1.Part_PART_CONFIG, map[cache.Ref][]byte{}
	r.keys.id, r.keys.table = gatewayv1.Part_PART_KEYS, o.Keys
	r.keys.unusable, r.keys.others = map[string]string{}, map[cache.Ref][]byte{}
	r.noteServingLocked()
	return r
}

func (r *replica) parts() [2]*part { return [2]*part{&r.config.part, &r.keys.part} }

// load takes the cache in.
func (r *replica) load() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opts.Cache == nil {
		return
	}
	if err := r.opts.Cache.Unwritable(); err != nil {
		r.opts.Log.Warn("cache is not writable, nothing survives a restart without a control plane", "err", err)
	}
	if c := r.loadPart(gatewayv1.Part_PART_KEYS); c != nil {
		r.keys.restore(c)
	}
	if c := r.loadPart(gatewayv1.Part_PART_CONFIG); c != nil {
		r.config.restore(c)
		r.buildLocked()
	}
	r.whole = r.config.present && r.keys.present
	r.noteServingLocked()
}

func (r *replica) loadPart(id gatewayv1.Part) *cache.Content {
	c, err := r.opts.Cache.Load(id)
	if err != nil {
		r.opts.Log.Error("cached state dropped", "part", id, "err", err)
		r.metrics.cacheErrors.Inc()
		return nil
	}
	if c != nil {
		r.opts.Log.Info("cached state loaded", "part", id, "revision", c.State.Revision, "entries", c.State.Count)
	}
	return c
}

// publishLocked serves the newest build, if it is time. The configuration waits for the keys: without them it would refuse
// everybody.
func (r *replica) publishLocked() bool {
	c := &r.config
	if c.built == nil || !r.keys.present {
		return false
	}
	if r.opts.Holder.Load() == nil && !r.mayBeginLocked() {
		return false
	}
	if r.opts.Holder.Load() != c.built {
		r.opts.Holder.Publish(c.built, r.opts.Live)
	}
	select {
	case <-r.configured:
	default:
		close(r.configured)
	}
	r.readyLocked()
	r.noteServingLocked()
	return true
}

func (r *replica) readyLocked() {
	if r.opts.Holder.Load() != nil && r.config.tried && r.keys.tried {
		r.ready.Store(true)
	}
}

// noteServingLocked keeps what heartbeats tell.
func (r *replica) noteServingLocked() {
	var served []*gatewayv1.PartState
	if c := &r.config; c.built != nil && r.opts.Holder.Load() == c.built {
		served = append(served, partState(c.id, c.builtState))
	}
	if r.keys.present {
		served = append(served, partState(r.keys.id, r.keys.served()))
	}
	r.serving.Store(&served)
	for _, s := range served {
		r.metrics.revision.WithLabelValues(partLabel(s.GetPart())).Set(float64(s.GetRevision()))
	}
	r.metrics.unusable.Set(float64(len(r.keys.unusable)))
}

func (r *replica) heartbeat() *gatewayv1.DataPlaneHeartbeat {
	return &gatewayv1.DataPlaneHeartbeat{Serving: *r.serving.Load(), Drifted: r.drifted.Swap(false)}
}

func partState(id gatewayv1.Part, s cache.State) *gatewayv1.PartState {
	return &gatewayv1.PartState{Part: id, Revision: s.Revision, Digest: s.Digest.Bytes(), Count: s.Count}
}

// resyncLocked gives p up as received: the next Hello is without it. askAnew brings that about.
func (r *replica) resyncLocked(p *part, reason string) *resyncError {
	p.broken, p.staging = true, nil
	r.drifted.Store(true)
	r.metrics.drift.WithLabelValues(partLabel(p.id)).Inc()
	return &resyncError{p.id, reason}
}

// askAnew has the sender end the stream, so that the next one begins without the part. What was replied before is sent.
func (r *replica) askAnew(why *resyncError) {
	select {
	case r.anew <- why:
	default: // it ends already
	}
}

func (r *replica) forgetAnew() {
	select {
	case why := <-r.anew:
		r.opts.Log.Debug("asking for a part anew", "part", why.part)
	default:
	}
}
