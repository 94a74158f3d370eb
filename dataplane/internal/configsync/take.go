package configsync

import (
	"errors"
	"fmt"
	"time"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// takeRecords applies a run of records of one part. Records that are here already are passed over, and answered with what is
// served. An error is against the protocol and ends the stream.
func (r *replica) takeRecords(records []*gatewayv1.Record) (replies, error) {
	began := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.partLocked(records[0].GetPart())
	if p == nil {
		return nil, fmt.Errorf("record %d: of no part", records[0].GetRevision())
	}
	if !r.follows || p.broken {
		return nil, nil
	}
	if p.staging != nil {
		return nil, fmt.Errorf("record %d: within a snapshot of %v", records[0].GetRevision(), p.id)
	}
	fresh, err := r.freshLocked(p, records)
	if err != nil {
		return nil, err
	}
	if p.id == gatewayv1.Part_PART_KEYS {
		return r.takeKeysLocked(fresh, began), nil
	}
	return r.takeConfigLocked(fresh, began), nil
}

// freshLocked returns the records that are newer than what p has. Revisions of another epoch than p's say nothing about age.
func (r *replica) freshLocked(p *part, records []*gatewayv1.Record) ([]*gatewayv1.Record, error) {
	have := p.state.Revision
	if p.state.Epoch != r.epoch {
		have = 0
	}
	var fresh []*gatewayv1.Record
	last := uint64(0)
	for _, rec := range records {
		if rec.GetPart() != p.id {
			return nil, fmt.Errorf("record %d: of %v in a run of %v", rec.GetRevision(), rec.GetPart(), p.id)
		}
		if rec.GetRevision() <= last {
			return nil, fmt.Errorf("record %d: behind record %d", rec.GetRevision(), last)
		}
		last = rec.GetRevision()
		if last > have {
			fresh = append(fresh, rec)
		}
	}
	return fresh, nil
}

// advanceLocked notes that p has what the store had at that revision.
func (r *replica) advanceLocked(p *part, revision uint64, digest gatewayv1.Digest, count int) {
	p.state = cache.State{
		Epoch:      r.epoch,
		Generation: r.generationLocked(r.epoch),
		Revision:   revision,
		Digest:     digest,
		Count:      uint64(count),
	}
	p.present, p.broken = true, false
}

// takeChunk stages a piece of a snapshot, and takes the whole over with the last one.
func (r *replica) takeChunk(c *gatewayv1.SnapshotChunk) (replies, error) {
	began := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.partLocked(c.GetState().GetPart())
	if p == nil {
		return nil, fmt.Errorf("snapshot: of no part")
	}
	if !r.follows {
		return nil, nil
	}
	if c.GetIndex() == 0 {
		if p.state.Epoch == r.epoch && c.GetState().GetRevision() < p.state.Revision {
			return nil, fmt.Errorf("snapshot of %v: goes back from revision %d to %d", p.id, p.state.Revision, c.GetState().GetRevision())
		}
		p.staging = &staging{want: c.GetState(), entries: map[cache.Ref][]byte{}}
	}
	if p.staging == nil {
		return nil, fmt.Errorf("snapshot of %v: begins with chunk %d", p.id, c.GetIndex())
	}
	err := p.staging.add(c)
	if large, ok := errors.AsType[*tooLarge](err); ok {
		return r.rejectLocked(p, c.GetState().GetRevision(), large), nil
	}
	if err != nil || !c.GetLast() {
		return nil, err
	}
	return r.takeSnapshotLocked(p, began)
}

func (r *replica) rejectLocked(p *part, revision uint64, why error) replies {
	p.refused = max(p.refused, revision)
	r.metrics.rejected.Inc()
	r.opts.Log.Error("snapshot rejected, serving previous", "part", p.id, "revision", revision, "err", why)
	return append(r.serveLocked(), message(&gatewayv1.Rejected{Part: p.id, Revision: revision, Reason: why.Error()}))
}

func (r *replica) takeSnapshotLocked(p *part, began time.Time) (replies, error) {
	s := p.staging
	p.staging = nil
	if s.refused {
		return nil, nil
	}
	if err := s.complete(); err != nil {
		return nil, err
	}
	defer func() {
		select {
		case r.check <- struct{}{}:
		default:
		}
	}()
	if p.id == gatewayv1.Part_PART_KEYS {
		return r.replaceKeysLocked(s, began), nil
	}
	r.config.entries, r.config.received = s.entries, s.digest
	r.advanceLocked(p, s.want.GetRevision(), s.digest, len(s.entries))
	r.config.unwritten = true
	return r.takeConfigLocked(nil, began), nil
}
