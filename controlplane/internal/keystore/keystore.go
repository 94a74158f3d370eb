// Package keystore adds, revokes, rotates and lists API keys. It checks what operators ask for, makes each change one
// Commit of package publish, and keeps the last use of secrets as notes of the store. It sees hashes, never secrets, and
// knows no transport.
//
// Keys are found by name, by the SHA-256 of a secret and by the id of a secret through the index of the store, in the
// transaction that changes them: nothing here reads all keys, however many millions there are.
//
// A Keystore is safe for concurrent use.
package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Errors of a Keystore. They are wrapped with what was asked for and what stands in its way.
var (
	// ErrNotFound says that no key has the name, and no secret the id.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the name, the secret or its id belongs to another key.
	ErrExists = errors.New("exists")
	// ErrInvalid says that a request can never succeed as it is.
	ErrInvalid = errors.New("invalid")
	// ErrAmbiguous says that an id is that of secrets of several keys.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrThirdSecret says that a key has two live secrets already.
	ErrThirdSecret = errors.New("two secrets are live")
)

// FileKeyError says that a key is declared in the configuration file and can be changed only there.
type FileKeyError struct {
	// Name of the key.
	Name string
	// File that declares it; empty: not known.
	File string
	// Line of its declaration, from 1.
	Line int
}

// Error names the key and the line that declares it.
func (e *FileKeyError) Error() string {
	return fmt.Sprintf("key %q: declared in %s, change it there", e.Name, place(e.File, e.Line))
}

func place(file string, line int) string {
	if file == "" {
		return "the configuration file"
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// FileKeys tells where the configuration file declares a key.
type FileKeys interface {
	Line(name string) (file string, line int, ok bool)
}

// Committer makes changes; a publish.Publisher is one.
type Committer interface {
	Commit(ctx context.Context, fn func(publish.Tx) error) (publish.Commit, error)
}

// Store reads keys and keeps notes; a store.Store is one.
type Store interface {
	View(ctx context.Context, fn func(store.Reader) error) error
	Note(ctx context.Context, notes ...store.Note) error
}

// Options of a Keystore.
type Options struct {
	// FileKeys tells where file keys are declared; nil: not known.
	FileKeys FileKeys
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
	// Log gets what goes wrong in the background; nil: slog.Default().
	Log *slog.Logger
}

// Keystore changes and lists keys.
type Keystore struct {
	changes Committer
	store   Store
	file    FileKeys
	now     func() time.Time
	log     *slog.Logger
	uses    uses
}

// New returns a Keystore that changes keys through changes and reads them from s. Its Run keeps the last use of secrets.
func New(changes Committer, s Store, o Options) *Keystore {
	k := &Keystore{changes: changes, store: s, file: o.FileKeys, now: o.Now, log: o.Log}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.Default()
	}
	k.uses.pending = map[useKey]int64{}
	k.uses.full = make(chan struct{}, 1)
	return k
}

// Key is a key as operators see it.
type Key struct {
	// Name of the key.
	Name string
	// FromFile: declared in the configuration file, otherwise in the store.
	FromFile bool
	// Only: it admits Services and nothing else. Otherwise it admits all.
	Only bool
	// Services that it admits if Only.
	Services []string
	// Secrets, oldest first. Expired ones are listed too.
	Secrets []Secret
}

// ID returns the id of the newest secret; empty: there is none.
func (k Key) ID() string {
	if len(k.Secrets) == 0 {
		return ""
	}
	return k.Secrets[len(k.Secrets)-1].ID
}

// Secret is a secret without anything secret. The zero time is none.
type Secret struct {
	// ID is public.
	ID string
	// CreatedAt is when it was added.
	CreatedAt time.Time
	// ExpiresAt is when it ends; zero: never.
	ExpiresAt time.Time
	// LastUsedAt is when a data plane last admitted it, to the minute; zero: not known of.
	LastUsedAt time.Time
}

// Change is what became of a request.
type Change struct {
	// Key as it is stored now; of a Revoke: what is left of it.
	Key Key
	// SecretIDs ended by a Revoke.
	SecretIDs []string
	// Revision to wait for: the one that brought the change or, if there was nothing to change, the newest of the keys.
	Revision uint64
	// At is when the store had it, with a monotonic reading.
	At time.Time
}

// AddRequest declares a key.
type AddRequest struct {
	// Name of the key, [A-Za-z0-9._-]{1,64}.
	Name string
	// Hash is the SHA-256 of the secret.
	Hash [32]byte
	// SecretID names the secret, form as Name; empty: the first 12 hex digits of Hash.
	SecretID string
	// ExpiresAt is when the secret ends, kept to the millisecond, in the next 1000 years; zero: never.
	ExpiresAt time.Time
	// Services that the key admits; none: all.
	Services []string
}

// fromProto makes a Key; lastUsed answers for its secrets.
func fromProto(name string, m *gatewayv1.Key, lastUsed func(useKey) time.Time) Key {
	k := Key{
		Name:     name,
		FromFile: m.GetSource() == gatewayv1.KeySource_KEY_SOURCE_FILE,
		Only:     m.GetOnly(),
		Services: m.GetServices(),
	}
	for _, s := range m.GetSecrets() {
		id := store.SecretID(s)
		k.Secrets = append(k.Secrets, Secret{
			ID:         id,
			CreatedAt:  fromMillis(s.GetCreatedAtMs()),
			ExpiresAt:  fromMillis(s.GetExpiresAtMs()),
			LastUsedAt: lastUsed(useKey{name, id}),
		})
	}
	return k
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
