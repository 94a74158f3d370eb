package publish

import (
	"slices"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// item is one revision of one part.
type item struct {
	revision uint64
	digest   gatewayv1.Digest // of the part after it
	known    bool             // digest is
	encoded  Encoded
	at       time.Time // of the commit; zero: before this process
}

// tail is the end of the log, at least limit bytes of records if there were as many, apart for each part: what a stream
// lacks of one part must not cost a walk over the other's.
type tail struct {
	parts [2]partTail
	bytes int
	limit int
}

// partTail holds every record of a part after base. base itself can no longer be sent.
type partTail struct {
	base  item
	items []item
}

// newTail makes the tail of a state from the records after its floor.
func newTail(state store.State, records []store.Record) tail {
	t := tail{limit: store.LogBytes}
	for _, part := range []gatewayv1.Part{gatewayv1.Part_PART_CONFIG, gatewayv1.Part_PART_KEYS} {
		// Which content a part had at the floor is known only if nothing came before.
		t.parts[index(part)].base = item{revision: state.Floor, known: state.Floor == 0}
	}
	for _, r := range records {
		t.add(r, time.Time{})
	}
	return t
}

// add appends a record and drops the oldest ones that no longer fit. A record that is too large to send drops all before
// it: no stream can pass it.
func (t *tail) add(r store.Record, at time.Time) {
	digest, err := gatewayv1.ParseDigest(r.GetDigestAfter())
	next := item{revision: r.GetRevision(), digest: digest, known: err == nil, encoded: r.Encoded, at: at}
	part := &t.parts[index(r.GetPart())]
	if next.encoded == nil {
		for _, it := range part.items {
			t.bytes -= len(it.encoded)
		}
		*part = partTail{base: next}
		return
	}
	part.items = append(part.items, next)
	t.bytes += len(next.encoded)
	for {
		oldest := t.oldest()
		if oldest == nil || t.bytes-len(oldest.items[0].encoded) < t.limit {
			return
		}
		t.bytes -= len(oldest.items[0].encoded)
		oldest.base, oldest.items = oldest.items[0], oldest.items[1:]
		oldest.base.encoded = nil
	}
}

// oldest returns the part whose first item is the oldest of all.
func (t *tail) oldest() *partTail {
	a, b := &t.parts[0], &t.parts[1]
	switch {
	case len(a.items) == 0 && len(b.items) == 0:
		return nil
	case len(b.items) == 0, len(a.items) > 0 && a.items[0].revision < b.items[0].revision:
		return a
	default:
		return b
	}
}

func (t *tail) committedAt(revision uint64) (time.Time, bool) {
	for i := range t.parts {
		if it, ok := t.parts[i].at(revision); ok {
			return it.at, !it.at.IsZero()
		}
	}
	return time.Time{}, false
}

// at returns what is known of a revision.
func (p *partTail) at(revision uint64) (item, bool) {
	if revision == p.base.revision {
		return p.base, p.base.known
	}
	i, ok := p.find(revision)
	if !ok {
		return item{}, false
	}
	return p.items[i], p.items[i].known
}

// since returns the items after a revision. The caller has seen that they reach back to it.
func (p *partTail) since(revision uint64) []item {
	i, found := p.find(revision)
	if found {
		i++
	}
	return p.items[i:]
}

func (p *partTail) find(revision uint64) (int, bool) {
	return slices.BinarySearchFunc(p.items, revision, func(it item, r uint64) int {
		switch {
		case it.revision < r:
			return -1
		case it.revision > r:
			return 1
		}
		return 0
	})
}
