package bolt

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	bolt "go.etcd.io/bbolt"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// load reads the head of an opened file, or gives an empty one its buckets and its first epoch.
func (s *Store) load() error {
	fresh := false
	err := s.db.View(func(tx *bolt.Tx) error {
		if first, _ := tx.Cursor().First(); first == nil {
			fresh = true
			return nil
		}
		return s.check(tx)
	})
	if err != nil || !fresh {
		return err
	}
	h := &head{State: store.State{Epoch: newEpoch()}}
	if err := s.db.Update(func(tx *bolt.Tx) error { return initialise(tx, h) }); err != nil {
		return err
	}
	s.head.Store(h)
	return nil
}

func initialise(tx *bolt.Tx, h *head) error {
	for _, name := range [][]byte{metaBucket, entriesBucket, indexBucket, logBucket, notesBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	if err := tx.Bucket(metaBucket).Put(formatKey, []byte(strconv.Itoa(format))); err != nil {
		return err
	}
	return putHead(tx, h)
}

func newEpoch() string { return rand.Text() }

// check reads everything and compares it with the head.
func (s *Store) check(tx *bolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil || meta.Get(formatKey) == nil {
		return errors.New("not a store: a bolt file of another program")
	}
	got, err := strconv.Atoi(string(meta.Get(formatKey)))
	if err != nil || got != format {
		return fmt.Errorf("unknown format, got %q (want %d): made by a newer controlplane?", meta.Get(formatKey), format)
	}
	for _, name := range [][]byte{entriesBucket, indexBucket, logBucket, notesBucket} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("damaged: no bucket %q", name)
		}
	}
	h, err := decodeHead(meta.Get(headKey))
	if err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	if err := checkParts(&reader{tx: tx, state: h.State}); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	if err := checkLog(tx, h); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	s.head.Store(h)
	return nil
}

// checkParts compares the entries with what the head says of them.
func checkParts(r *reader) error {
	for _, p := range []gatewayv1.Part{gatewayv1.Part_PART_CONFIG, gatewayv1.Part_PART_KEYS} {
		var digest gatewayv1.Digest
		var count uint64
		for id, value := range r.Entries(p, store.ID{}) {
			digest = digest.Add(gatewayv1.EntryDigest(id.Kind, id.ID, value))
			count++
		}
		want := r.state.Part(p)
		if digest != want.Digest || count != want.Count {
			return fmt.Errorf("entries of %v do not match the head, got digest %v of %d entries (want %v of %d)",
				p, digest, count, want.Digest, want.Count)
		}
	}
	return nil
}

// checkLog sees that every record kept can be read and that they rise from the floor to the head.
func checkLog(tx *bolt.Tx, h *head) error {
	last, size := h.Floor, 0
	c := tx.Bucket(logBucket).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		record, err := decodeRecord(v)
		if err != nil {
			return err
		}
		revision := record.GetRevision()
		if !bytes.Equal(k, revisionKey(revision)) || revision <= last || revision > h.Revision {
			return fmt.Errorf("record of revision %d at %x after %d (want them to rise to %d)", revision, k, last, h.Revision)
		}
		last = revision
		size += len(v)
	}
	if size != h.logBytes {
		return fmt.Errorf("log, got %d bytes (want %d)", size, h.logBytes)
	}
	return nil
}
