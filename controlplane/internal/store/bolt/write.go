package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"apigateway/controlplane/internal/store"
)

// Note implements store.Store.
func (s *Store) Note(ctx context.Context, notes ...store.Note) error {
	return s.update(ctx, func(tx *bolt.Tx) error {
		for _, n := range notes {
			if n.Table == "" || n.Key == "" {
				return fmt.Errorf("%w: note %q in table %q (want both names)", store.ErrInvalid, n.Key, n.Table)
			}
			table, err := tx.Bucket(notesBucket).CreateBucketIfNotExists([]byte(n.Table))
			if err != nil {
				return err
			}
			if n.Value == nil {
				err = table.Delete([]byte(n.Key))
			} else {
				err = table.Put([]byte(n.Key), n.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, func() {})
}

// update makes what fn writes durable, then calls done before the next write begins. Nothing is written if fn fails.
func (s *Store) update(ctx context.Context, fn func(*bolt.Tx) error, done func()) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.broken != nil {
		return fmt.Errorf("%w: %w", store.ErrReadOnly, s.broken)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	id := tx.ID()
	if err := s.commit(tx); err != nil {
		return s.failure(err, id)
	}
	done()
	return nil
}

// failure decides whether a failed commit was harmless: the disk was full when the pages of transaction id were to be
// written, before anything refers to them. After any other error it is not known what the disk has.
func (s *Store) failure(err error, id int) error {
	var path *fs.PathError // bbolt's writes; its fsyncs have a bare Errno
	full := errors.As(err, &path) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
	if full {
		now := id
		viewErr := s.db.View(func(tx *bolt.Tx) error {
			now = tx.ID()
			return nil
		})
		if viewErr == nil && now < id {
			return fmt.Errorf("%w: %w", store.ErrFull, err)
		}
	}
	s.broken = err
	s.failed.Store(true)
	return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
}
