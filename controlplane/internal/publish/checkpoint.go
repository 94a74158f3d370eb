package publish

import (
	"fmt"
	"sync"
	"weak"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// checkpoint is the whole content of a part at one revision, as messages.
type checkpoint struct {
	state  store.Part
	chunks []Encoded
}

// shared hands one checkpoint to all streams that need one. A small one is kept for the next; a large one only as long as
// a stream still sends it, because millions of keys are too much to hold for nobody.
type shared struct {
	mu    sync.Mutex // held while one is made, so that 5,000 streams make one
	small *checkpoint
	last  weak.Pointer[checkpoint]
}

// keepBytes is the size up to which a checkpoint is small.
const keepBytes = store.LogBytes

// checkpoint returns one that is no older than the call: what was revoked before must not come back for the moment until the records
// follow. However fast changes come, calls that wait while one is made share the next one.
func (p *Publisher) checkpoint(part gatewayv1.Part) (*checkpoint, error) {
	atLeast := p.State().Part(part).Revision
	s := &p.checkpoints[index(part)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.last.Value(); c != nil && c.state.Revision >= atLeast {
		return c, nil
	}
	c, err := p.makeCheckpoint(part)
	if err != nil {
		return nil, err
	}
	s.last, s.small = weak.Make(c), nil
	if len(c.chunks)*p.maxMessage <= keepBytes {
		s.small = c
	}
	return c, nil
}

// makeCheckpoint reads one moment of the store. Commits go on meanwhile; only its start waits for the one under way, so
// that no stream gets a state that nobody else has seen yet.
func (p *Publisher) makeCheckpoint(part gatewayv1.Part) (*checkpoint, error) {
	c := &checkpoint{}
	p.writing.Lock()
	unlock := sync.OnceFunc(p.writing.Unlock)
	defer unlock()
	err := p.store.View(p.ctx, func(r store.Reader) error {
		unlock()
		c.state = r.State().Part(part)
		w := chunkWriter{max: p.maxMessage, state: &gatewayv1.PartState{
			Part: part, Revision: c.state.Revision, Digest: c.state.Digest.Bytes(), Count: c.state.Count,
		}}
		for id, value := range r.Entries(part, store.ID{}) {
			if err := w.add(id, value); err != nil {
				return err
			}
		}
		err := w.flush(true)
		c.chunks = w.chunks
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// chunkHead is the room for what goes around the entries of a chunk.
const chunkHead = 128

// chunkWriter packs entries into messages.
type chunkWriter struct {
	max     int // bytes of a message
	state   *gatewayv1.PartState
	entries []*gatewayv1.Entry
	size    int
	chunks  []Encoded
}

func (w *chunkWriter) add(id store.ID, value []byte) error {
	e := &gatewayv1.Entry{Kind: id.Kind, Id: id.ID, Value: value}
	size := proto.Size(e) + 5 // its tag and length
	if len(w.entries) > 0 && w.size+size > w.max-chunkHead {
		if err := w.flush(false); err != nil {
			return err
		}
	}
	w.entries = append(w.entries, e)
	w.size += size
	return nil
}

// flush encodes what was gathered. There is always a last chunk, if only an empty one: it says that a part is empty.
func (w *chunkWriter) flush(last bool) error {
	encoded, err := proto.Marshal(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Snapshot{
		Snapshot: &gatewayv1.SnapshotChunk{State: w.state, Index: uint32(len(w.chunks)), Last: last, Entries: w.entries},
	}})
	if err != nil {
		return err
	}
	if len(encoded) > w.max {
		return fmt.Errorf("chunk %d: too large, got %d bytes (want at most %d)", len(w.chunks), len(encoded), w.max)
	}
	w.chunks = append(w.chunks, encoded)
	w.entries, w.size = w.entries[:0], 0
	return nil
}
