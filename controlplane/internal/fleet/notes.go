package fleet

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// notesTable is where data planes are remembered over a restart of the control plane.
const notesTable = "dataplanes"

const (
	// flushEvery bounds how stale the remembered moment of a data plane is after a crash.
	flushEvery = time.Minute
	// flushBatch is how many notes one transaction takes, so that a change of a key never waits long behind it.
	flushBatch = 1000
	// lastFlush bounds the flush at the end of Run.
	lastFlush = 5 * time.Second
	// trustNote is how old a note may be for a data plane that connects again not to need a new one at once.
	trustNote = time.Hour
)

// Notes keeps small facts outside revisions; store.Store has it.
type Notes interface {
	// Note writes notes durably; a nil value removes one.
	Note(ctx context.Context, notes ...store.Note) error
	// Notes returns all notes of a table, or an error as the last pair.
	Notes(ctx context.Context, table string) iter.Seq2[store.Note, error]
}

// memory knows which notes are out of date.
type memory struct {
	writing sync.Mutex // held while notes are written: those that become stale meanwhile share the next write

	mu    sync.Mutex
	stale map[string]struct{} // ids
}

func (y *memory) touch(ids ...string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.stale == nil {
		y.stale = make(map[string]struct{})
	}
	for _, id := range ids {
		y.stale[id] = struct{}{}
	}
}

func (y *memory) take() []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	ids := slices.Sorted(maps.Keys(y.stale))
	clear(y.stale)
	return ids
}

func (f *Fleet) load(ctx context.Context) error {
	for note, err := range f.notes.Notes(ctx, notesTable) {
		if err != nil {
			return err
		}
		id := note.Key
		var d gatewayv1.DataPlane
		if err := proto.Unmarshal(note.Value, &d); err != nil {
			f.log.Warn("unreadable note of a data plane, forgotten", "dataplane", id, "err", err)
			continue
		}
		seen := time.UnixMilli(d.GetLastSeenAtMs())
		f.members[id] = &Member{
			id: id, fleet: f, address: d.GetAddress(), version: d.GetVersion(), lastSeen: seen, noted: seen,
			served: [2]servedPart{{revision: d.GetConfigRevision()}, {revision: d.GetKeysRevision()}},
		}
	}
	return nil
}

// remember notes a data plane that has joined: at once if it is new, otherwise soon.
func (f *Fleet) remember(m *Member) {
	f.memory.touch(m.id)
	if m.notedWithin(trustNote) {
		return
	}
	if err := f.flush(context.Background()); err != nil { // not the stream's: others share the write
		f.log.Warn("cannot remember data plane, goes on", "dataplane", m.id, "err", err)
	}
}

// flush writes the notes that are stale. When it returns, those from before the call are written, by it or by another call, or
// stay stale; the error is that of its own write.
func (f *Fleet) flush(ctx context.Context) error {
	f.memory.writing.Lock()
	defer f.memory.writing.Unlock()
	ids := f.memory.take()
	for len(ids) > 0 {
		n := min(len(ids), flushBatch)
		if err := f.write(ctx, ids[:n]); err != nil {
			f.memory.touch(ids...)
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// write notes the members of those ids as they are now, and removes the notes of those that are gone.
func (f *Fleet) write(ctx context.Context, ids []string) error {
	notes := make([]store.Note, len(ids))
	written := make(map[*Member]time.Time, len(ids))
	for i, id := range ids {
		notes[i] = store.Note{Table: notesTable, Key: id}
		m := f.Member(id)
		if m == nil {
			continue
		}
		value, seen, err := m.note()
		if err != nil {
			return err
		}
		notes[i].Value, written[m] = value, seen
	}
	if err := f.notes.Note(ctx, notes...); err != nil {
		return err
	}
	for m, seen := range written {
		m.wrote(seen)
	}
	return nil
}

func (m *Member) note() (value []byte, seen time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, err = proto.Marshal(&gatewayv1.DataPlane{
		Address: m.address, Version: m.version, LastSeenAtMs: unixMilli(m.lastSeen),
		ConfigRevision: m.served[0].revision, KeysRevision: m.served[1].revision,
	})
	return value, m.lastSeen, err
}

func (m *Member) wrote(seen time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noted = seen
}

func (m *Member) notedWithin(d time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.noted.IsZero() && m.fleet.now().Sub(m.noted) < d
}

// Run keeps what is remembered of data planes fresh until ctx ends, and writes what is left then. It returns nil.
func (f *Fleet) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			f.refresh(end)
			return nil
		case <-tick.C:
			f.refresh(ctx)
		}
	}
}

func (f *Fleet) refresh(ctx context.Context) {
	for _, m := range f.Members() {
		if m.Connected() {
			f.memory.touch(m.id)
		}
	}
	if err := f.flush(ctx); err != nil {
		f.log.Warn("cannot remember data planes, trying again later", "err", err)
	}
}
