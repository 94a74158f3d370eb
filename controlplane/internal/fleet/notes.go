package fleet

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// notesTable is where data planes are remembered over a restart of the control plane.
const notesTable = "dataplanes"

// flushEvery bounds how stale the remembered moment of a connected data plane can be after a crash.
const flushEvery = time.Minute

// Notes keeps small facts outside revisions; store.Store has it.
type Notes interface {
	// Note writes notes durably; a nil value removes one.
	Note(ctx context.Context, notes ...store.Note) error
	// Notes returns all notes of a table, or an error as the last pair.
	Notes(ctx context.Context, table string) iter.Seq2[store.Note, error]
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
		f.members[id] = &Member{
			id: id, fleet: f, address: d.GetAddress(), version: d.GetVersion(),
			lastSeen: time.UnixMilli(d.GetLastSeenAtMs()),
			served:   [2]servedPart{{revision: d.GetConfigRevision()}, {revision: d.GetKeysRevision()}},
		}
	}
	return nil
}

func (f *Fleet) save(m *Member) {
	value, err := proto.Marshal(m.note())
	if err == nil {
		err = f.notes.Note(context.Background(), store.Note{Table: notesTable, Key: m.id, Value: value})
	}
	if err != nil {
		f.log.Warn("cannot remember data plane, goes on", "dataplane", m.id, "err", err)
	}
}

func (m *Member) note() *gatewayv1.DataPlane {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &gatewayv1.DataPlane{
		Address: m.address, Version: m.version, LastSeenAtMs: unixMilli(m.lastSeen),
		ConfigRevision: m.served[0].revision, KeysRevision: m.served[1].revision,
	}
}

// Run keeps what is remembered of connected data planes fresh until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			for _, m := range f.Members() {
				if m.Connected() {
					f.save(m)
				}
			}
		}
	}
}
