package grpcapi

import (
	"fmt"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// foreignness returns why a data plane must not follow a store at head, or nothing: it has no state yet, or its state is an ancestor of the
// store's.
func foreignness(h *gatewayv1.Hello, head store.State) string {
	if h.GetEpoch() == "" {
		return ""
	}
	newest := newestRevision(h)
	if h.GetEpoch() == head.Epoch {
		for _, p := range h.GetParts() {
			if own := head.Part(p.GetPart()).Revision; p.GetRevision() > own {
				return fmt.Sprintf("it holds revision %d, this store only %d: the store was rolled back", p.GetRevision(), own)
			}
		}
		return ""
	}
	for _, a := range head.Lineage {
		if a.Epoch != h.GetEpoch() {
			continue
		}
		if newest <= a.Revision {
			return ""
		}
		return fmt.Sprintf("it holds revision %d of epoch %s, this store continues that epoch from revision %d only", newest, h.GetEpoch(), a.Revision)
	}
	return fmt.Sprintf("it follows epoch %s, which this store (epoch %s) does not descend from", h.GetEpoch(), head.Epoch)
}

func newestRevision(h *gatewayv1.Hello) (newest uint64) {
	for _, p := range h.GetParts() {
		newest = max(newest, p.GetRevision())
	}
	return newest
}

func partStates(s store.State) []*gatewayv1.PartState {
	return []*gatewayv1.PartState{
		partState(gatewayv1.Part_PART_CONFIG, s.Config),
		partState(gatewayv1.Part_PART_KEYS, s.Keys),
	}
}

func partState(part gatewayv1.Part, p store.Part) *gatewayv1.PartState {
	return &gatewayv1.PartState{Part: part, Revision: p.Revision, Digest: p.Digest.Bytes(), Count: p.Count}
}
