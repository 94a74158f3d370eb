package cache

import (
	"errors"
	"iter"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// NeedsCheckpoint reports whether Compact is due: the journal is larger than the checkpoint and 4 MiB, and has grown by 4 MiB since
// the last one that failed, or the file cannot be appended to after an error. It is false while a checkpoint is being written.
func (d *Dir) NeedsCheckpoint(part gatewayv1.Part) bool {
	if d.unwritable != nil {
		return false
	}
	f := d.file(part)
	f.mu.Lock()
	defer f.mu.Unlock()
	large := f.size-f.checkpoint > max(compactFrom, f.checkpoint) && f.size >= f.retryAt
	return f.tail == nil && (f.out == nil || large)
}

// errOvertaken says that Replace wrote a newer state while a checkpoint was being written, which is given up.
var errOvertaken = errors.New("overtaken")

// Compact writes a part as a new checkpoint in the background and then calls done with what came of it.
// entries are what the file holds now; they are read by another goroutine and must not change. Append goes on meanwhile.
// done is not called if a checkpoint is being written already, which is all then, or if Replace overtakes this one.
func (d *Dir) Compact(part gatewayv1.Part, s State, entries iter.Seq[Entry], done func(error)) {
	f := d.file(part)
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.unwritable != nil || f.tail != nil {
		return
	}
	mine := &tail{}
	f.tail = mine
	d.compacting.Go(func() {
		err := f.compact(s, entries, mine)
		if !errors.Is(err, errOvertaken) {
			done(err)
		}
	})
}

func (f *file) compact(s State, entries iter.Seq[Entry], mine *tail) error {
	w, err := f.writeCheckpoint(s, entries)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tail != mine {
		if err == nil {
			w.discard()
		}
		return errOvertaken
	}
	f.tail, f.retryAt = nil, f.size+compactFrom
	if err != nil {
		return err
	}
	journal := w.size
	for _, payload := range mine.payloads {
		if err := w.frame(payload); err != nil {
			w.discard()
			return err
		}
	}
	if err := w.out.Sync(); err != nil {
		w.discard()
		return err
	}
	if err := f.install(w); err != nil {
		return err
	}
	f.checkpoint = journal
	return nil
}
