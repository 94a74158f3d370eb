package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"google.golang.org/protobuf/proto"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// compactFrom is the size of a journal below which no new checkpoint is written, in bytes.
const compactFrom = 4 << 20

// file is one part on disk.
type file struct {
	dir  *Dir
	part gatewayv1.Part
	name string

	mu         sync.Mutex
	out        *os.File // nil: nothing can be appended
	chain      chain
	size       int64 // where the next frame goes
	checkpoint int64 // where the journal begins
	retryAt    int64 // the size from which on a checkpoint that failed is tried again
	tail       *tail // not nil while a new checkpoint is being written
}

// tail gathers the payloads that were appended while a new checkpoint is being written.
type tail struct{ payloads [][]byte }

func (f *file) path() string { return filepath.Join(f.dir.path, f.name) }

// Replace writes a part as a new checkpoint, durable on return. entries are read once.
func (d *Dir) Replace(part gatewayv1.Part, s State, entries iter.Seq[Entry]) error {
	if d.unwritable != nil {
		return d.unwritable
	}
	f := d.file(part)
	f.mu.Lock()
	f.tail = nil // whatever is being written now is older
	f.mu.Unlock()
	w, err := f.writeCheckpoint(s, entries)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		err = f.install(w)
	}
	if err != nil {
		err = errors.Join(err, f.closeLocked()) // what would be appended next does not follow what the file holds
	}
	return err
}

// Append writes records that follow what the file holds, durable on return. After an error nothing can be appended until
// Replace or a checkpoint in the background wrote the part anew.
func (d *Dir) Append(part gatewayv1.Part, records []*gatewayv1.Record) error {
	if d.unwritable != nil {
		return d.unwritable
	}
	payloads := make([][]byte, len(records))
	for i, r := range records {
		b, err := proto.MarshalOptions{}.MarshalAppend([]byte{kindRecord}, r)
		if err != nil {
			return fmt.Errorf("cache: record %d: %w", r.GetRevision(), err)
		}
		payloads[i] = b
	}
	f := d.file(part)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tail != nil {
		f.tail.payloads = append(f.tail.payloads, payloads...)
	}
	if f.out == nil {
		return fmt.Errorf("cache %s: %w", f.path(), ErrNoCheckpoint)
	}
	if err := f.appendLocked(payloads); err != nil {
		return fmt.Errorf("cache %s: %w", f.path(), errors.Join(err, f.closeLocked()))
	}
	return nil
}

func (f *file) appendLocked(payloads [][]byte) error {
	var b []byte
	c := f.chain
	for _, p := range payloads {
		b, c = c.appendFrame(b, p)
	}
	if _, err := f.out.WriteAt(b, f.size); err != nil {
		return err
	}
	if err := f.out.Sync(); err != nil {
		return err
	}
	f.size, f.chain = f.size+int64(len(b)), c
	return nil
}

// resume goes on appending behind what was loaded. What cannot be opened is told by the first Append.
func (f *file) resume(l *loader) {
	out, err := os.OpenFile(f.path(), os.O_RDWR, 0o600)
	if err != nil {
		return
	}
	if err := out.Truncate(l.frames.end); err != nil { // a torn tail
		_ = out.Close() // nothing was written
		return
	}
	f.out, f.chain, f.size, f.checkpoint = out, l.frames.chain, l.frames.end, l.checkpoint
}

// newFile is a checkpoint under a temporary name.
type newFile struct {
	out   *os.File
	chain chain
	size  int64
}

func (f *file) writeCheckpoint(s State, entries iter.Seq[Entry]) (*newFile, error) {
	out, err := os.CreateTemp(f.dir.path, f.name+"-*.tmp") // 0600
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	w := &newFile{out: out, chain: newChain(), size: int64(len(magic))}
	if err = w.write(f.part, s, entries); err == nil {
		err = out.Sync()
	}
	if err != nil {
		w.discard()
		return nil, fmt.Errorf("cache %s: %w", f.path(), err)
	}
	return w, nil
}

func (w *newFile) write(part gatewayv1.Part, s State, entries iter.Seq[Entry]) error {
	if _, err := io.WriteString(w.out, magic); err != nil {
		return err
	}
	if err := w.frame(headPayload(part, s)); err != nil {
		return err
	}
	chunk := &gatewayv1.SnapshotChunk{State: &gatewayv1.PartState{
		Part: part, Revision: s.Revision, Digest: s.Digest.Bytes(), Count: s.Count,
	}}
	size := 0
	for e := range entries {
		if n := len(e.ID) + len(e.Value) + 16; size > 0 && size+n > chunkSize {
			if err := w.chunk(chunk); err != nil {
				return err
			}
			chunk.Index++
			chunk.Entries, size = chunk.Entries[:0], 0
		}
		chunk.Entries = append(chunk.Entries, &gatewayv1.Entry{Kind: e.Kind, Id: e.ID, Value: e.Value})
		size += len(e.ID) + len(e.Value) + 16
	}
	chunk.Last = true
	return w.chunk(chunk)
}

func headPayload(part gatewayv1.Part, s State) []byte {
	b := binary.BigEndian.AppendUint64([]byte{kindHead, byte(part)}, s.Generation)
	return append(b, s.Epoch...)
}

func (w *newFile) chunk(c *gatewayv1.SnapshotChunk) error {
	payload, err := proto.MarshalOptions{}.MarshalAppend([]byte{kindChunk}, c)
	if err != nil {
		return err
	}
	return w.frame(payload)
}

func (w *newFile) frame(payload []byte) error {
	b, c := w.chain.appendFrame(nil, payload)
	if _, err := w.out.Write(b); err != nil {
		return err
	}
	w.chain, w.size = c, w.size+int64(len(b))
	return nil
}

func (w *newFile) discard() {
	_ = w.out.Close()           // it is deleted
	_ = os.Remove(w.out.Name()) // Open removes what stays
}

// install gives the new file its name and appends to it from now on. If the name cannot be made durable, a crash may leave the file
// of before or the new one: nothing can be appended then. f.mu is held.
func (f *file) install(w *newFile) error {
	if err := os.Rename(w.out.Name(), f.path()); err != nil {
		w.discard()
		return fmt.Errorf("cache %s: %w", f.path(), err)
	}
	_ = f.closeLocked() // replaced, all of it was synced
	if err := f.dir.syncFolder(f.dir.path); err != nil {
		return fmt.Errorf("cache %s: %w", f.path(), errors.Join(err, w.out.Close()))
	}
	f.out, f.chain, f.size, f.checkpoint, f.retryAt = w.out, w.chain, w.size, w.size, 0
	return nil
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closeLocked()
}

func (f *file) closeLocked() error {
	if f.out == nil {
		return nil
	}
	err := f.out.Close()
	f.out = nil
	return err
}
