// Package cache keeps the last good state of a data plane on disk, so that a restart without a control plane serves what
// was served before. Package configsync writes it before it reports a change as applied, and reads it once at start. It
// judges nothing but whether the bytes are exactly what was written: whether they can be served is the snapshot's matter.
//
// # Files
//
// The folder (mode 0700) holds one file per part, config.cache and keys.cache (mode 0600), the lock, and the socket of
// package handover. Secrets never come here, only their hashes. A file is a checkpoint and the journal of what changed
// since, in one:
//
//	file    = "gwcache" version frame…          version is one byte, 1
//	frame   = length sum check payload          three big-endian uint32, then length bytes
//	payload = 1 part generation epoch           byte, byte, uint64, string: first in the file
//	        | 2 SnapshotChunk                   protobuf: the checkpoint, complete with the chunk that has last set
//	        | 3 Record                          protobuf: the journal
//
// sum is the CRC-32C of the payload, check that of the check before it, length and sum, so that no frame can be lost,
// repeated or moved unnoticed. After the checkpoint and after each record the digest of the entries must be the one that
// the control plane gave.
//
// A checkpoint is written to a temporary file, synced, renamed, and the folder synced. Records are appended and synced.
// When the journal is larger than the checkpoint (and than 4 MiB), a new checkpoint is written beside it in the
// background; records that come meanwhile go into both.
//
// # What is trusted
//
// An end in the middle of a frame, or a tail of zero bytes, is an append that a crash cut short: its sync had not
// returned, so nobody was told that it is kept, and it is cut off. Everything else that does not fit (a wrong sum in the
// middle or at the end, a wrong digest, a checkpoint without end) may hide a revocation that was acknowledged. Then the
// part is dropped whole, with the reason, and nothing of it is served.
//
// A Dir is safe for concurrent use. A second process with the same folder is refused by the lock.
package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// ErrLocked says that another process uses the folder.
var ErrLocked = errors.New("in use by another data plane")

// ErrNoCheckpoint says that nothing can be appended to a part before Replace wrote it whole: there is no file yet, it was
// damaged, or an earlier write failed.
var ErrNoCheckpoint = errors.New("no intact file to append to")

// State identifies the content of a part and the history that it belongs to.
type State struct {
	Epoch      string // of the store
	Generation uint64 // how many epochs the data plane has followed; the larger one is the newer
	Revision   uint64
	Digest     gatewayv1.Digest
	Count      uint64 // entries
}

// Ref names an entry.
type Ref struct {
	Kind gatewayv1.Kind
	ID   string
}

// Entry is an entry with its bytes exactly as they were received.
type Entry struct {
	Ref
	Value []byte
}

// Content is a part as it was read. The caller owns it.
type Content struct {
	State   State
	Entries map[Ref][]byte
}

// Dir is an open cache folder.
type Dir struct {
	path       string
	lock       *os.File // nil: the folder is not writable
	unwritable error
	config     file
	keys       file
	compacting sync.WaitGroup
	syncFolder func(path string) error // tests replace it
}

// Open makes the folder if needed and locks it. The only error is that another process holds it (ErrLocked); a folder that
// cannot be made or written is told by Unwritable, can be read, and refuses every write.
func Open(path string) (*Dir, error) {
	d := &Dir{path: path, syncFolder: syncFolder}
	d.config = file{dir: d, part: gatewayv1.Part_PART_CONFIG, name: "config.cache"}
	d.keys = file{dir: d, part: gatewayv1.Part_PART_KEYS, name: "keys.cache"}
	lock, err := lockFolder(path)
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("cache %s: %w", path, err)
	}
	if err != nil {
		d.unwritable = fmt.Errorf("cache %s: not writable: %w", path, err)
		return d, nil
	}
	d.lock = lock
	d.removeTemporary()
	return d, nil
}

// lockFolder takes the lock and proves that files can be made beside it.
func lockFolder(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	if err := probe(path); err != nil {
		_ = lock.Close() // nothing was written
		return nil, err
	}
	return lock, nil
}

// probe makes a file in a folder and removes it.
func probe(path string) error {
	f, err := os.CreateTemp(path, "probe-*.tmp")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// removeTemporary deletes what a process that was killed left half-written.
func (d *Dir) removeTemporary() {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return // Load says what cannot be read
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			_ = os.Remove(filepath.Join(d.path, e.Name())) // harmless if it stays
		}
	}
}

// Unwritable returns why the folder cannot be written, nil if it can.
func (d *Dir) Unwritable() error { return d.unwritable }

// Path returns the folder as it was given to Open.
func (d *Dir) Path() string { return d.path }

// Close waits for a checkpoint that is being written and unlocks the folder. No other method may be called after it.
func (d *Dir) Close() error {
	d.compacting.Wait()
	errs := []error{d.config.close(), d.keys.close()}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

func (d *Dir) file(part gatewayv1.Part) *file {
	if part == gatewayv1.Part_PART_KEYS {
		return &d.keys
	}
	return &d.config
}
