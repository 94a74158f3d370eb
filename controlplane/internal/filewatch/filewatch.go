// Package filewatch tells when the content of one file changed. It polls and compares content, so that it sees every way
// in which a file is replaced: a rename over it, a write in place, the swapped symbolic links of a Kubernetes volume,
// network file systems. It knows nothing about what is in the file, and logs nothing.
//
// A look that finds the same modification time, size and file as the last one does not read a file over 1 MiB again;
// every fifth second it does, in case the stamp was forged or is too coarse. New content is delivered when two looks in
// a row agree on it: a file that is being written is not. So with the default interval a change is delivered within
// 500 ms, and one that keeps the stamp of a large file within 6 s.
//
// A file that is missing or unreadable is not a change: what was delivered last stays in force.
package filewatch

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	defaultInterval = 250 * time.Millisecond
	defaultMaxSize  = 64 << 20
	alwaysRead      = 1 << 20         // files up to this many bytes are read at each look
	fullInterval    = 5 * time.Second // larger ones at least this often
)

// Options of a Watcher. The zero value is usable.
type Options struct {
	// Interval between two looks; 0: 250 ms.
	Interval time.Duration
	// MaxSize of the file in bytes; 0: 64 MiB. A larger file is an error, it is not read to its end.
	MaxSize int
	// OnError is told that two looks in a row failed, once until one succeeds again, and that a poke failed; and nil when the
	// file can be read again. It is called from the goroutine of Watch. nil: nobody is.
	OnError func(error)
}

// Watcher looks at one file.
type Watcher struct {
	path    string
	opts    Options
	poke    chan struct{}
	content []byte

	// Of the goroutine of Watch.
	known   hash        // content that was delivered, at first that of New
	pending hash        // content that one look found and that the next has to confirm
	stamp   os.FileInfo // of the file when it was last read
	readAt  time.Time   // when it was last read
	failed  int         // looks in a row
	told    bool        // OnError of a failure, not yet of its end
}

// hash is the SHA-256 of some content; the zero hash is that of none.
type hash [sha256.Size]byte

// New reads the file at path and returns a Watcher for what comes after. The error says why it cannot be read.
func New(path string, opts Options) (*Watcher, error) {
	if opts.Interval <= 0 {
		opts.Interval = defaultInterval
	}
	if opts.MaxSize <= 0 {
		opts.MaxSize = defaultMaxSize
	}
	if opts.OnError == nil {
		opts.OnError = func(error) {}
	}
	w := &Watcher{path: path, opts: opts, poke: make(chan struct{}, 1)}
	var err error
	if w.content, err = w.read(); err != nil {
		return nil, err
	}
	w.known = sha256.Sum256(w.content)
	return w, nil
}

// Content returns what New read, until Watch is called.
func (w *Watcher) Content() []byte { return w.content }

// Watch sends each new content until ctx ends, then closes the channel; receive until then to wait for its goroutine. A
// slow receiver misses what was there for a moment, never what is there last. The slices are the receiver's. Call it
// once.
func (w *Watcher) Watch(ctx context.Context) <-chan []byte {
	w.content = nil // no need to hold it any longer
	contents := make(chan []byte)
	go func() {
		defer close(contents)
		w.run(ctx, contents)
	}()
	return contents
}

func (w *Watcher) run(ctx context.Context, contents chan<- []byte) {
	ticker := time.NewTicker(w.opts.Interval)
	defer ticker.Stop()
	for {
		var data []byte
		select {
		case <-ctx.Done():
			return
		case <-w.poke:
			data = w.readNow()
		case <-ticker.C:
			data = w.look()
		}
		if data == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case contents <- data:
		}
	}
}

// Poke makes Watch send what is in the file now, also if it is known already or just being written. Safe for concurrent
// use; pokes that pile up collapse into one.
func (w *Watcher) Poke() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// readNow returns the content of the file, nil if it cannot be read.
func (w *Watcher) readNow() []byte {
	data, err := w.read()
	if err != nil {
		w.tell(err)
		return nil
	}
	w.tell(nil)
	w.known, w.pending, w.failed = sha256.Sum256(data), hash{}, 0
	return data
}

// look returns new content that two looks in a row have found, otherwise nil.
func (w *Watcher) look() []byte {
	if w.unchanged() {
		return nil
	}
	data, err := w.read()
	if err != nil {
		w.pending = hash{}
		if w.failed++; w.failed == 2 {
			w.tell(err)
		}
		return nil
	}
	w.tell(nil)
	w.failed = 0
	switch found := hash(sha256.Sum256(data)); found {
	case w.known:
		w.pending = hash{}
	case w.pending:
		w.known, w.pending = found, hash{}
		return data
	default:
		w.pending = found
	}
	return nil
}

// tell passes a failure on, and the end of one that was passed on.
func (w *Watcher) tell(err error) {
	if err != nil || w.told {
		w.opts.OnError(err)
	}
	w.told = err != nil
}

// unchanged reports whether the file's stamp says that reading it can be left out.
func (w *Watcher) unchanged() bool {
	if w.pending != (hash{}) || w.failed > 0 || w.told || w.stamp == nil || time.Since(w.readAt) >= fullInterval {
		return false
	}
	stamp, err := os.Stat(w.path)
	return err == nil && stamp.Size() > alwaysRead && stamp.Size() == w.stamp.Size() &&
		stamp.ModTime().Equal(w.stamp.ModTime()) && os.SameFile(stamp, w.stamp)
}

// read returns the content of the file and notes its stamp.
func (w *Watcher) read() ([]byte, error) {
	data, stamp, err := read(w.path, w.opts.MaxSize)
	if err != nil {
		return nil, err
	}
	w.stamp, w.readAt = stamp, time.Now()
	return data, nil
}

// Read returns the content of a regular file of at most limit bytes. It is never nil without an error.
func Read(path string, limit int) ([]byte, error) {
	data, _, err := read(path, limit)
	return data, err
}

// read is Read, with the file's stamp from before: if the file changes behind it, the next look finds another one.
func read(path string, limit int) ([]byte, os.FileInfo, error) {
	stamp, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !stamp.Mode().IsRegular() { // opening a pipe would block
		return nil, nil, fmt.Errorf("%s: wrong type, got %v (want a regular file)", path, stamp.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > limit {
		return nil, nil, fmt.Errorf("%s: file too large, got more than %d bytes (want at most that)", path, limit)
	}
	return data, stamp, nil
}
