// Package store says what the control plane keeps: the entries of the configuration and of the keys, the revisions that
// brought them, the epoch they belong to, and small notes. It holds the one interface and the rules that every
// implementation shares; bolt/ implements it in one file of one machine, storetest/ is the suite that each must pass.
//
// Package publish is the only writer. It decides what a change is; a store makes it durable, whole or not at all, and
// finds keys by name, by secret and by origin without reading all of them.
//
// Values are safe for concurrent use unless said otherwise.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// LogBytes is how many bytes of encoded records a store keeps at least, once there have been as many.
const LogBytes = 16 << 20

// Errors of a Store. They are wrapped with what happened.
var (
	// ErrConflict says that the head moved since it was read. Nothing was changed.
	ErrConflict = errors.New("store: head moved")
	// ErrReadOnly says that a write or fsync failed: nothing more is written until the store is opened again, which reads
	// everything and compares it with the head.
	ErrReadOnly = errors.New("store: read-only after a failed write, restart to check it")
	// ErrFull says that the disk is full. Nothing was changed; writes succeed again once there is room.
	ErrFull = errors.New("store: disk full")
	// ErrCompacted says that the records asked for are no longer kept.
	ErrCompacted = errors.New("store: records no longer kept")
	// ErrInvalid says that records do not follow from the head. Nothing was changed.
	ErrInvalid = errors.New("store: invalid record")
)

// Part identifies the content of one part.
type Part struct {
	// Revision of its last change; 0: none yet.
	Revision uint64
	// Digest of its entries.
	Digest gatewayv1.Digest
	// Count of its entries.
	Count uint64
}

// Ancestor is an earlier history that the store's epoch continues.
type Ancestor struct {
	// Epoch is its name.
	Epoch string
	// Revision is the last one of it that belongs to the line.
	Revision uint64
}

// State is the head of a store. Its slice must not be changed.
type State struct {
	// Epoch is random, made with the store or by BeginEpoch.
	Epoch string
	// Lineage holds the epochs before, oldest first.
	Lineage []Ancestor
	// Revision is the newest one given; 0: none yet.
	Revision uint64
	// Floor is the oldest revision that Since accepts.
	Floor uint64
	// Config and Keys are the two parts.
	Config, Keys Part
}

// Part returns one part of the state; p is PART_CONFIG or PART_KEYS.
func (s State) Part(p gatewayv1.Part) Part {
	if p == gatewayv1.Part_PART_KEYS {
		return s.Keys
	}
	return s.Config
}

// WithPart returns s with one part replaced.
func (s State) WithPart(p gatewayv1.Part, to Part) State {
	if p == gatewayv1.Part_PART_KEYS {
		s.Keys = to
	} else {
		s.Config = to
	}
	return s
}

// Record is one revision and its encoding.
type Record struct {
	*gatewayv1.Record
	// Encoded is the encoding of SyncResponse{records: [Record]}. nil: the record is larger than a message may be, and only
	// its revision, part and digest are kept.
	Encoded []byte
}

// ID names an entry. Entries are ordered by kind, then id.
type ID struct {
	// Kind of the entry.
	Kind gatewayv1.Kind
	// ID is unique within the kind.
	ID string
}

// Compare orders a before b with a negative number.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID))
}

// Part returns the part that an entry belongs to.
func (a ID) Part() gatewayv1.Part {
	if a.Kind == gatewayv1.Kind_KIND_KEY {
		return gatewayv1.Part_PART_KEYS
	}
	return gatewayv1.Part_PART_CONFIG
}

// Note is a small fact outside revisions: a data plane seen, the last use of a key.
type Note struct {
	// Table groups notes.
	Table string
	// Key is unique within the table and not empty.
	Key string
	// Value is what is noted; nil removes the note.
	Value []byte
}

// Reader reads one moment of a store. It, and the bytes it hands out, are valid inside the View only; the bytes must not
// be changed. A read that fails ends its iteration and the View with the error. Not safe for concurrent use.
type Reader interface {
	// State returns the head.
	State() State
	// Get returns the value of an entry.
	Get(kind gatewayv1.Kind, id string) ([]byte, bool)
	// Entries returns the entries of a part that come after one, in order. The zero ID comes before all.
	Entries(part gatewayv1.Part, after ID) iter.Seq2[ID, []byte]
	// Names returns the names of the keys that have a term, in order.
	Names(term Term) iter.Seq[string]
	// Note returns a note.
	Note(table, key string) ([]byte, bool)
}

// Store is what is kept.
type Store interface {
	// State returns the newest head that is durable.
	State(ctx context.Context) (State, error)
	// Apply makes records durable and returns then, all of them or none. Their revisions rise from the head's; the digest
	// of each must be that of its part after it. ifRevision is the head that they were made for. Errors: ErrConflict,
	// ErrReadOnly, ErrFull, ErrInvalid.
	Apply(ctx context.Context, ifRevision uint64, records []Record) error
	// Since returns the records after a revision, in order. Errors: ErrCompacted.
	Since(ctx context.Context, revision uint64) ([]Record, error)
	// View reads one moment. fn must not write to the store.
	View(ctx context.Context, fn func(Reader) error) error
	// BeginEpoch gives the store a new random epoch that descends from lineage, and a head of at least revision. Errors: as Apply.
	BeginEpoch(ctx context.Context, ifRevision uint64, lineage []Ancestor, revision uint64) (State, error)
	// Note writes notes durably, all of them or none. Errors: ErrReadOnly, ErrFull.
	Note(ctx context.Context, notes ...Note) error
	// Notes returns all notes of a table by key, or an error as the last pair. Notes and their bytes are the caller's. The
	// loop may write to the store.
	Notes(ctx context.Context, table string) iter.Seq2[Note, error]
	// Close waits for reads and writes under way. No other method may be called afterwards.
	Close() error
}

// Opener opens a store; rest is what follows the scheme of its URL.
type Opener func(rest string) (Store, error)

// Open opens the store that a URL names, as "bolt:data/controlplane.db", with the opener of its scheme.
func Open(url string, schemes map[string]Opener) (Store, error) {
	if err := CheckURL(url, schemes); err != nil {
		return nil, err
	}
	scheme, rest, _ := strings.Cut(url, ":")
	return schemes[scheme](strings.TrimPrefix(rest, "//"))
}

// CheckURL returns the error of an Open that would not know what to open.
func CheckURL(url string, schemes map[string]Opener) error {
	scheme, rest, _ := strings.Cut(url, ":")
	if schemes[scheme] == nil || rest == "" {
		known := slices.Sorted(maps.Keys(schemes))
		return fmt.Errorf("store: unknown URL, got %q (want %s:…)", url, strings.Join(known, ":… or "))
	}
	return nil
}
