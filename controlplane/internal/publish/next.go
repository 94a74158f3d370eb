package publish

import (
	"fmt"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Next returns what a data plane that has this of a part is sent next, at most one message of records or one whole
// snapshot. Records follow only on the same content at a revision of the same epoch; anything else gets a snapshot. The
// error is ErrAhead, or says why the store cannot be read for a snapshot.
//
// Next keeps nothing: calling it with To after each update leads to the head.
func (p *Publisher) Next(part gatewayv1.Part, have Have) (Update, error) {
	update, err := p.fromTail(part, have)
	if err != nil || update.Kind != Snapshot {
		return update, err
	}
	c, err := p.checkpoint(part)
	if err != nil {
		return Update{}, fmt.Errorf("checkpoint: %w", err)
	}
	update.Chunks, update.from = c.chunks, c
	update.To = Have{Revision: c.state.Revision, Digest: c.state.Digest, Ours: true}
	return update, nil
}

// fromTail decides what kind of update it is, and fills it unless it is a snapshot.
func (p *Publisher) fromTail(part gatewayv1.Part, have Have) (Update, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	head, tail := p.state.Part(part), &p.tail.parts[index(part)]
	if !have.Ours {
		return Update{Kind: Snapshot}, nil
	}
	if have.Revision > head.Revision {
		return Update{}, fmt.Errorf("%w: got revision %d (want at most %d)", ErrAhead, have.Revision, head.Revision)
	}
	digest, known := head.Digest, true
	if have.Revision < head.Revision {
		var it item
		it, known = tail.at(have.Revision)
		digest = it.digest
	}
	switch {
	case !known:
		return Update{Kind: Snapshot}, nil
	case digest != have.Digest:
		return Update{Kind: Snapshot, Drift: true}, nil
	case have.Revision == head.Revision:
		return Update{Kind: UpToDate, To: have}, nil
	}
	return run(tail.since(have.Revision), p.maxMessage), nil
}

// run takes items, of which there is at least one, up to the size of a message.
func run(items []item, maxMessage int) Update {
	size, n := 0, 0
	for n < len(items) && size+len(items[n].encoded) <= maxMessage {
		size += len(items[n].encoded)
		n++
	}
	update := Update{Kind: Records, Run: make([]Encoded, n)}
	for i := range update.Run {
		update.Run[i] = items[i].encoded
	}
	last := items[n-1]
	update.To = Have{Revision: last.revision, Digest: last.digest, Ours: true}
	return update
}
