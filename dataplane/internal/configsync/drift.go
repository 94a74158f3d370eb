package configsync

import (
	"context"
	"fmt"
	"time"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// watchDrift recomputes the digests of what is served every ten minutes and after each snapshot.
func (r *replica) watchDrift(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.check:
		}
		if drift := r.checkDrift(); drift != nil {
			r.askAnew(drift)
		}
	}
}

// checkDrift compares what is served with the digests it should have. A part that differs is given up; the caller asks for
// it anew.
func (r *replica) checkDrift() (drift *resyncError) {
	r.mu.Lock()
	built, builtState := r.opts.Holder.Load(), r.config.builtState
	if built != r.config.built {
		built = nil // nothing is served yet
	}
	keysList, keysState := r.keys.all(), r.keys.state
	checkKeys := r.keys.present && !r.keys.broken
	r.mu.Unlock()

	if built != nil && built.Recompute() != builtState.Digest {
		drift = r.noteDrift(&r.config.part, builtState)
	}
	if checkKeys && digestOf(keysList) != keysState.Digest {
		drift = r.noteDrift(&r.keys.part, keysState)
	}
	return drift
}

func digestOf(entries []cache.Entry) (d gatewayv1.Digest) {
	for _, e := range entries {
		d = d.Add(gatewayv1.EntryDigest(e.Kind, e.ID, e.Value))
	}
	return d
}

func (r *replica) noteDrift(p *part, judged cache.State) *resyncError {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resyncLocked(p, fmt.Sprintf("what is served differs from revision %d", judged.Revision))
}
