package configsync

import "time"

// When the first service begins. Later ones wait for nothing.

// reachedLocked reports whether p was received up to where the last Welcome said that the store is. What was rejected counts:
// there is nothing to wait for.
func (r *replica) reachedLocked(p *part) bool {
	if !r.follows || !p.present {
		return false
	}
	received := !p.broken && p.state.Epoch == r.epoch && p.state.Revision >= p.target
	return received || p.refused > 0 && p.refused >= p.target
}

// endGrace lets a cached state be served: the control plane had its time.
func (r *replica) endGrace() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.graceOver = true
	r.publishLocked()
}

// followLocked notes whether the current stream's store is followed.
func (r *replica) followLocked(follows bool) {
	switch {
	case follows:
		r.alone = false
	case r.follows && r.gone == nil:
		r.gone = time.AfterFunc(Grace, r.endGone)
	case r.follows:
		r.gone.Reset(Grace)
	}
	r.follows = follows
}

// endGone lets what was received be served: there is no control plane to complete it.
func (r *replica) endGone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alone = !r.follows
	r.publishLocked()
}

// lost notes the end of a stream.
func (r *replica) lost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.followLocked(false)
}

// stop ends what waits for a control plane to come back.
func (r *replica) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone != nil {
		r.gone.Stop()
	}
}

// mayBeginLocked reports whether it is time for the first service. Half of what a store has could hold a key that it has
// revoked since, or a port that it has left: both parts have to reach what Welcome named. A whole cache was served before, and
// waits for the grace only.
func (r *replica) mayBeginLocked() bool {
	return r.reachedLocked(&r.config.part) && r.reachedLocked(&r.keys.part) || r.whole && r.graceOver || r.alone
}
