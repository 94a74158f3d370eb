package publish

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// diff returns the records that bring change over before, keys first, and the state after them.
func (p *Publisher) diff(before base, change *layer, state store.State) (store.State, []store.Record, error) {
	ids := make([]store.ID, 0, len(change.puts))
	for id := range change.puts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, store.ID.Compare)
	var records []store.Record
	for _, part := range []gatewayv1.Part{gatewayv1.Part_PART_KEYS, gatewayv1.Part_PART_CONFIG} {
		r := &gatewayv1.Record{Part: part}
		now := state.Part(part)
		for _, id := range ids {
			if id.Part() == part {
				now = step(r, now, before, entry{id, change.puts[id]})
			}
		}
		if len(r.GetPuts())+len(r.GetRemoves()) == 0 {
			continue
		}
		state.Revision++
		now.Revision = state.Revision
		r.Revision, r.DigestAfter = now.Revision, now.Digest.Bytes()
		state = state.WithPart(part, now)
		encoded, err := p.encode(r)
		if err != nil {
			return state, nil, err
		}
		records = append(records, encoded)
	}
	return state, records, checkLimits(change, state)
}

// entry is an entry and its value; nil: none.
type entry struct {
	id    store.ID
	value []byte
}

// step adds the change of one entry to a record, if it is one, and returns the part after it.
func step(r *gatewayv1.Record, now store.Part, before base, e entry) store.Part {
	old, had := before.Get(e.id.Kind, e.id.ID)
	if had == (e.value != nil) && (!had || string(old) == string(e.value)) {
		return now
	}
	if had {
		now.Digest = now.Digest.Sub(gatewayv1.EntryDigest(e.id.Kind, e.id.ID, old))
		now.Count--
	}
	if e.value == nil {
		r.Removes = append(r.Removes, &gatewayv1.EntryRef{Kind: e.id.Kind, Id: e.id.ID})
		return now
	}
	r.Puts = append(r.Puts, &gatewayv1.Entry{Kind: e.id.Kind, Id: e.id.ID, Value: e.value})
	now.Digest = now.Digest.Add(gatewayv1.EntryDigest(e.id.Kind, e.id.ID, e.value))
	now.Count++
	return now
}

// encode encodes a record once for all streams, or not at all if it is larger than a message.
func (p *Publisher) encode(r *gatewayv1.Record) (store.Record, error) {
	encoded, err := proto.Marshal(&gatewayv1.SyncResponse{Records: []*gatewayv1.Record{r}})
	if err != nil {
		return store.Record{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(encoded) > p.maxMessage {
		encoded = nil
	}
	return store.Record{Record: r, Encoded: encoded}, nil
}

// checkLimits refuses what no data plane would take, and a secret that two keys share.
func checkLimits(change *layer, after store.State) error {
	services := after.Config.Count
	if _, ok := change.Get(gatewayv1.Kind_KIND_SETTINGS, ""); ok {
		services--
	}
	if services > gatewayv1.MaxServices {
		return fmt.Errorf("%w: services, got %d (want at most %d)", ErrLimit, services, gatewayv1.MaxServices)
	}
	if after.Keys.Count > gatewayv1.MaxKeys {
		return fmt.Errorf("%w: keys, got %d (want at most %d)", ErrLimit, after.Keys.Count, gatewayv1.MaxKeys)
	}
	for term := range change.terms {
		if term.Shareable() {
			continue
		}
		names := slices.Collect(change.Names(term))
		if len(names) > 1 {
			return fmt.Errorf("%w: keys %q and %q have the same secret", ErrInvalid, names[0], names[1])
		}
	}
	return nil
}
