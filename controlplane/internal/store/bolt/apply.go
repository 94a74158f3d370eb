package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, ifRevision uint64, records []store.Record) error {
	_, err := s.change(ctx, ifRevision, func(tx *bolt.Tx, h *head) error {
		for _, r := range records {
			if err := apply(tx, h, r); err != nil {
				return err
			}
		}
		return trim(tx, h)
	})
	return err
}

// BeginEpoch implements store.Store.
func (s *Store) BeginEpoch(ctx context.Context, ifRevision uint64, lineage []store.Ancestor, revision uint64) (store.State, error) {
	h, err := s.change(ctx, ifRevision, func(_ *bolt.Tx, h *head) error {
		h.Epoch, h.Lineage = newEpoch(), slices.Clone(lineage)
		h.Revision = max(h.Revision, revision)
		return nil
	})
	if err != nil {
		return store.State{}, err
	}
	return h.State, nil
}

// change runs fn on a copy of the head, makes both durable, and shows the new head.
func (s *Store) change(ctx context.Context, ifRevision uint64, fn func(*bolt.Tx, *head) error) (*head, error) {
	var h head
	err := s.update(ctx, func(tx *bolt.Tx) error {
		h = *s.head.Load()
		if h.Revision != ifRevision {
			return fmt.Errorf("%w: got revision %d (want %d)", store.ErrConflict, h.Revision, ifRevision)
		}
		if err := fn(tx, &h); err != nil {
			return err
		}
		return putHead(tx, &h)
	}, func() { s.head.Store(&h) })
	return &h, err
}

func putHead(tx *bolt.Tx, h *head) error {
	b, err := h.encode()
	if err != nil {
		return err
	}
	return tx.Bucket(metaBucket).Put(headKey, b)
}

// apply changes the entries as a record says and appends it to the log. What does not belong to its part, or leads to another digest
// than the record's, is refused: written, it would keep the store from ever being opened again.
func apply(tx *bolt.Tx, h *head, r store.Record) error {
	if r.GetRevision() <= h.Revision {
		return fmt.Errorf("%w: revision, got %d (want more than %d)", store.ErrInvalid, r.GetRevision(), h.Revision)
	}
	p := partTx{entries: tx.Bucket(entriesBucket), index: tx.Bucket(indexBucket), part: r.GetPart(), now: h.Part(r.GetPart())}
	p.now.Revision = r.GetRevision()
	for _, e := range r.GetRemoves() {
		if err := p.remove(store.ID{Kind: e.GetKind(), ID: e.GetId()}); err != nil {
			return err
		}
	}
	for _, e := range r.GetPuts() {
		if err := p.put(store.ID{Kind: e.GetKind(), ID: e.GetId()}, e.GetValue()); err != nil {
			return err
		}
	}
	if err := p.putTerms(); err != nil {
		return err
	}
	want, err := gatewayv1.ParseDigest(r.GetDigestAfter())
	if err != nil || want != p.now.Digest {
		return fmt.Errorf("%w: revision %d: digest, got %x (want %v)", store.ErrInvalid, r.GetRevision(), r.GetDigestAfter(), p.now.Digest)
	}
	h.State = h.WithPart(p.part, p.now)
	h.Revision = r.GetRevision()
	return appendLog(tx, h, r)
}

// partTx changes the entries of one part, and takes the state of the part along.
type partTx struct {
	entries, index *bolt.Bucket
	part           gatewayv1.Part
	now            store.Part
	terms          [][]byte // of what was put
}

func (p *partTx) put(id store.ID, value []byte) error {
	if err := p.forget(id); err != nil {
		return err
	}
	if value == nil {
		value = []byte{} // Get would return the nil until the commit, as if there were no entry
	}
	p.now.Digest = p.now.Digest.Add(gatewayv1.EntryDigest(id.Kind, id.ID, value))
	p.now.Count++
	if err := p.entries.Put(entryKey(id), value); err != nil {
		return err
	}
	return eachTerm(id, value, func(key []byte) error {
		p.terms = append(p.terms, key)
		return nil
	})
}

func (p *partTx) remove(id store.ID) error {
	if err := p.forget(id); err != nil {
		return err
	}
	return p.entries.Delete(entryKey(id))
}

// forget takes the value of an entry, if it is there, out of the state and the index.
func (p *partTx) forget(id store.ID) error {
	if id.Part() != p.part {
		return fmt.Errorf("%w: %v %q in a record of %v", store.ErrInvalid, id.Kind, id.ID, p.part)
	}
	old := p.entries.Get(entryKey(id))
	if old == nil {
		return nil
	}
	p.now.Digest = p.now.Digest.Sub(gatewayv1.EntryDigest(id.Kind, id.ID, old))
	p.now.Count--
	return eachTerm(id, old, p.index.Delete)
}

// putTerms adds the terms of what was put to the index, in order: one of 20,000 keys by hash would shift a page's memory for each.
func (p *partTx) putTerms() error {
	slices.SortFunc(p.terms, bytes.Compare)
	for _, key := range p.terms {
		if err := p.index.Put(key, []byte{}); err != nil {
			return err
		}
	}
	return nil
}

// eachTerm calls do with the index key of each term of an entry.
func eachTerm(id store.ID, value []byte, do func(key []byte) error) error {
	terms, err := store.Terms(id, value)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	for _, t := range terms {
		if err := do(append(termPrefix(t), id.ID...)); err != nil {
			return err
		}
	}
	return nil
}

// appendLog keeps a record as it was encoded; of one that is too large to send, only what identifies it.
func appendLog(tx *bolt.Tx, h *head, r store.Record) error {
	encoded := r.Encoded
	if encoded == nil {
		bare := &gatewayv1.Record{Revision: r.GetRevision(), Part: r.GetPart(), DigestAfter: r.GetDigestAfter()}
		var err error
		if encoded, err = proto.Marshal(&gatewayv1.SyncResponse{Records: []*gatewayv1.Record{bare}}); err != nil {
			return err
		}
	}
	h.logBytes += len(encoded)
	log := tx.Bucket(logBucket)
	log.FillPercent = 1 // revisions only rise
	return log.Put(revisionKey(r.GetRevision()), encoded)
}

// trim drops the oldest records as long as LogBytes are left.
func trim(tx *bolt.Tx, h *head) error {
	c := tx.Bucket(logBucket).Cursor()
	for k, v := c.First(); k != nil && h.logBytes-len(v) >= store.LogBytes; k, v = c.First() {
		h.logBytes -= len(v)
		h.Floor = binary.BigEndian.Uint64(k)
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// entryKey orders entries by kind, then id.
func entryKey(id store.ID) []byte { return append([]byte{byte(id.Kind)}, id.ID...) }

func revisionKey(revision uint64) []byte { return binary.BigEndian.AppendUint64(nil, revision) }

// termPrefix begins the index keys of a term; the name of the key follows. No other term has the prefix: hashes have one
// length, ids and names no zero byte.
func termPrefix(t store.Term) []byte { return append([]byte(t), 0) }
