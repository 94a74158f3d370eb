// Package bolt keeps the control plane's state in one file of one machine, with go.etcd.io/bbolt.
//
// Every write is one transaction with its own fsync, durable on return. Opening reads the whole file and compares the
// digests of the entries with those of the head, so that what a failed disk left behind is found before it is served.
// After a failed write or fsync nothing is written until the file is opened again; a full disk is no such failure.
//
// The file holds the buckets meta (format, head), entries, index (terms of keys), log (records by revision) and one for
// each table of notes. Its mode is 0600 and it is locked while open. Memory does not grow with the number of keys: entries
// are read through the page cache.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"apigateway/controlplane/internal/store"
)

// format is the version of what the file holds.
const format = 1

var (
	metaBucket    = []byte("meta")
	entriesBucket = []byte("entries")
	indexBucket   = []byte("index")
	logBucket     = []byte("log")
	notesBucket   = []byte("notes")

	formatKey = []byte("format")
	headKey   = []byte("head")
)

// Options change how a file is opened. They are for tests.
type Options struct {
	// NoSync makes writes fast and not durable, for tests of what lies above the store.
	NoSync bool
	// OpenFile opens the file; nil: os.OpenFile. Whoever has the descriptor can make it fail.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)
}

// Store is a store.Store in a file.
type Store struct {
	db     *bolt.DB
	path   string
	head   atomic.Pointer[head]
	write  sync.Mutex // one writer at a time
	broken error      // guarded by write; not nil: ErrReadOnly, and why
	failed atomic.Bool
	commit func(*bolt.Tx) error // tests replace it
}

// Open opens the store in a file, or makes file and folders. It fails at once if another process has it open.
func Open(path string) (store.Store, error) {
	s, err := OpenWith(path, Options{})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// OpenWith is Open with options.
func OpenWith(path string, o Options) (*Store, error) {
	made, err := prepare(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{path: path, commit: (*bolt.Tx).Commit}
	if err := s.open(o); err != nil {
		return nil, fmt.Errorf("store %s: %w", path, explain(err))
	}
	if err := syncFolders(made); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", path, err), s.db.Close())
	}
	return s, nil
}

// open opens and checks the file. A damaged one makes bbolt panic or read beyond the end of the file; either becomes an
// error, after which the file stays mapped and locked until the process ends: bbolt cannot be closed in that state.
func (s *Store) open(o Options) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	s.db, err = bolt.Open(s.path, 0o600, &bolt.Options{
		Timeout:      time.Millisecond, // one attempt at the lock
		FreelistType: bolt.FreelistMapType,
		// A file that outgrows its mapping is mapped again, which waits for every reader. Address space costs nothing.
		InitialMmapSize: mapSize(),
		OpenFile:        o.OpenFile,
		NoSync:          o.NoSync,
	})
	if err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// mapSize is the address space for a file of ten million keys, where there is as much.
func mapSize() int {
	size := int64(1 << 34)
	if strconv.IntSize < 64 {
		size = 0
	}
	return int(size)
}

// explain says what bbolt's errors mean here.
func explain(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return errors.New("in use by another process (want one control plane for each store)")
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("not a store, or damaged: %w", err)
	}
	return err
}

// prepare makes the folder of a file. It returns the folders that get a new name by that, or by the file.
func prepare(path string) ([]string, error) {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	folder := filepath.Dir(path)
	changed := []string{folder}
	for dir := folder; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		changed = append(changed, filepath.Dir(dir))
	}
	return changed, os.MkdirAll(folder, 0o700)
}

// syncFolders makes the names of a new file and its folders durable.
func syncFolders(folders []string) error {
	for _, folder := range folders {
		f, err := os.Open(folder)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// State implements store.Store.
func (s *Store) State(context.Context) (store.State, error) {
	return s.head.Load().State, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.db.Close()
}
