package bolt

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// View implements store.Store.
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.db.View(func(tx *bolt.Tx) error {
		h, err := decodeHead(tx.Bucket(metaBucket).Get(headKey))
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if s.failed.Load() && !sameHead(h, s.head.Load()) {
			// A failed fsync may leave in the page cache what is not on the disk. Nobody may see it.
			return fmt.Errorf("%w: revision %d was never stored", store.ErrReadOnly, h.Revision)
		}
		return fn(&reader{tx: tx, state: h.State})
	})
}

func sameHead(a, b *head) bool { return a.Epoch == b.Epoch && a.Revision == b.Revision }

// reader is a store.Reader in a transaction.
type reader struct {
	tx    *bolt.Tx
	state store.State
}

func (r *reader) State() store.State { return r.state }

func (r *reader) Get(kind gatewayv1.Kind, id string) ([]byte, bool) {
	value := r.tx.Bucket(entriesBucket).Get(entryKey(store.ID{Kind: kind, ID: id}))
	return value, value != nil
}

func (r *reader) Entries(part gatewayv1.Part, after store.ID) iter.Seq2[store.ID, []byte] {
	return func(yield func(store.ID, []byte) bool) {
		if part == gatewayv1.Part_PART_KEYS && after.Kind < gatewayv1.Kind_KIND_KEY {
			after = store.ID{Kind: gatewayv1.Kind_KIND_KEY}
		}
		c := r.tx.Bucket(entriesBucket).Cursor()
		from := entryKey(after)
		for k, v := c.Seek(from); k != nil; k, v = c.Next() {
			id := store.ID{Kind: gatewayv1.Kind(k[0]), ID: string(k[1:])}
			if bytes.Equal(k, from) {
				continue
			}
			if id.Part() != part || !yield(id, v) {
				return // the parts follow each other
			}
		}
	}
}

func (r *reader) Names(term store.Term) iter.Seq[string] {
	return func(yield func(string) bool) {
		prefix := termPrefix(term)
		c := r.tx.Bucket(indexBucket).Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if !yield(string(k[len(prefix):])) {
				return
			}
		}
	}
}

func (r *reader) Note(table, key string) ([]byte, bool) {
	b := r.tx.Bucket(notesBucket).Bucket([]byte(table))
	if b == nil {
		return nil, false
	}
	value := b.Get([]byte(key))
	return value, value != nil
}

// Since implements store.Store.
func (s *Store) Since(ctx context.Context, revision uint64) (records []store.Record, err error) {
	err = s.View(ctx, func(r store.Reader) error {
		if floor := r.State().Floor; revision < floor {
			return fmt.Errorf("%w: got revision %d (want at least %d)", store.ErrCompacted, revision, floor)
		}
		c := r.(*reader).tx.Bucket(logBucket).Cursor()
		for k, v := c.Seek(revisionKey(revision + 1)); k != nil; k, v = c.Next() {
			record, err := decodeRecord(v)
			if err != nil {
				return fmt.Errorf("store: %w", err)
			}
			record.Encoded = bytes.Clone(record.Encoded)
			records = append(records, record)
		}
		return nil
	})
	return records, err
}

// decodeRecord reads what appendLog wrote. Encoded shares the bytes of v.
func decodeRecord(v []byte) (store.Record, error) {
	var m gatewayv1.SyncResponse
	if err := proto.Unmarshal(v, &m); err != nil {
		return store.Record{}, fmt.Errorf("record: %w", err)
	}
	if len(m.GetRecords()) != 1 {
		return store.Record{}, fmt.Errorf("record: got %d in one place (want 1)", len(m.GetRecords()))
	}
	r := store.Record{Record: m.GetRecords()[0]}
	if len(r.GetPuts())+len(r.GetRemoves()) > 0 {
		r.Encoded = v
	}
	return r, nil
}

// notesPage is how many notes are read at once, so that a slow loop holds up no writer.
const notesPage = 1000

// Notes implements store.Store.
func (s *Store) Notes(ctx context.Context, table string) iter.Seq2[store.Note, error] {
	return func(yield func(store.Note, error) bool) {
		for after := ""; ; {
			page, err := s.notesAfter(ctx, table, after)
			if err != nil {
				yield(store.Note{}, err)
				return
			}
			for _, n := range page {
				if !yield(n, nil) {
					return
				}
			}
			if len(page) < notesPage {
				return
			}
			after = page[len(page)-1].Key
		}
	}
}

func (s *Store) notesAfter(ctx context.Context, table, after string) (page []store.Note, err error) {
	err = s.View(ctx, func(r store.Reader) error {
		b := r.(*reader).tx.Bucket(notesBucket).Bucket([]byte(table))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek([]byte(after)); k != nil && len(page) < notesPage; k, v = c.Next() {
			if string(k) != after {
				page = append(page, store.Note{Table: table, Key: string(k), Value: slices.Clone(v)})
			}
		}
		return nil
	})
	return page, err
}
