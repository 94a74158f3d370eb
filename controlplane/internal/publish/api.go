// Package publish turns changes into revisions and hands them to streams. It holds the newest state of both parts, the
// log of encoded records behind it and the checkpoints that a stream starts from; every change of the control plane goes
// through Commit.
//
// A revision is encoded once. What a stream lacks is a run of those bytes, or the chunks of a checkpoint that all streams
// in need share; nothing here knows a stream, waits for one, or keeps anything for one.
//
// A Publisher is safe for concurrent use; a Tx belongs to the call of Commit that made it.
package publish

import (
	"errors"
	"iter"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Limits of one entry.
const (
	// MaxID bounds the id of an entry, in bytes.
	MaxID = 256
	// MaxValue bounds the value of an entry, in bytes: an entry fits into one message with room for what goes around it.
	MaxValue = gatewayv1.MaxMessage - 4096
)

// Errors of a Publisher. They are wrapped with what happened.
var (
	// ErrAhead says that a data plane has a revision of this very epoch that the store never had: the store was rolled back.
	ErrAhead = errors.New("publish: ahead of the store")
	// ErrClosed says that the Publisher was closed before it took the change up; it is not applied.
	ErrClosed = errors.New("publish: closed")
	// ErrUncertain says that the caller gave up while its change was being stored. The change is applied whole or not at
	// all; asking again tells which.
	ErrUncertain = errors.New("publish: gave up while the change was being stored")
	// ErrLimit says that a change would exceed a limit. Nothing was changed.
	ErrLimit = errors.New("publish: limit exceeded")
	// ErrInvalid says that a change holds an entry that cannot be one. Nothing was changed.
	ErrInvalid = errors.New("publish: invalid entry")
)

// Tx is one change while it is being made. It sees what it wrote, and every earlier change. Bytes that it hands out are
// valid inside the call only and must not be changed; values given to Put belong to it from then on.
type Tx interface {
	// Get returns the value of an entry.
	Get(kind gatewayv1.Kind, id string) ([]byte, bool)
	// Entries returns the entries of a part in order of kind and id. The loop may put and remove; whether it then meets what
	// it changed is not defined.
	Entries(part gatewayv1.Part) iter.Seq2[store.ID, []byte]
	// KeyByHash returns the name of the key that has a secret of this SHA-256.
	KeyByHash(hash [32]byte) (name string, ok bool)
	// Names returns the names of the keys that have a term, in order.
	Names(term store.Term) iter.Seq[string]
	// Put sets an entry. A value that cannot be one fails the Commit.
	Put(kind gatewayv1.Kind, id string, value []byte)
	// Remove removes an entry, if it is there.
	Remove(kind gatewayv1.Kind, id string)
}

// Commit says what a change became.
type Commit struct {
	// Keys and Config are the revisions that it was given; 0: it did not change that part.
	Keys, Config uint64
	// KeysRevision and ConfigRevision are those of the last change of each part, this one included: what to wait for even
	// if there was nothing to change.
	KeysRevision, ConfigRevision uint64
	// At is when the store had it, with a monotonic reading.
	At time.Time
	// Changed says that there was something to change.
	Changed bool
}

// Encoded is the encoding of a SyncResponse, shared by all streams: it must not be changed. Encodings of records may be
// concatenated to one message.
type Encoded []byte

// Have is what a stream's data plane has of one part.
type Have struct {
	// Revision of the part.
	Revision uint64
	// Digest of the part.
	Digest gatewayv1.Digest
	// Ours says that the revision belongs to the store's epoch. Anything else gets a snapshot.
	Ours bool
}

// Kind says what an Update holds.
type Kind uint8

// Kinds of updates.
const (
	// UpToDate: nothing is lacking.
	UpToDate Kind = iota
	// Records: Run has the next ones.
	Records
	// Snapshot: Chunks have the whole part.
	Snapshot
)

// Update is what a stream sends next.
type Update struct {
	// Kind says which of the fields below count.
	Kind Kind
	// Run holds consecutive records of the part, together one message.
	Run []Encoded
	// Chunks are the messages of a snapshot, in order.
	Chunks []Encoded
	// To is what the data plane has afterwards.
	To Have
	// Drift says that the data plane had another content at a revision of ours.
	Drift bool

	from *checkpoint // keeps the chunks shared for as long as the update is held
}
