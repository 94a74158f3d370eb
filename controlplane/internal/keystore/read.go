package keystore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// reader finds keys: a transaction or a view.
type reader interface {
	Get(kind gatewayv1.Kind, id string) ([]byte, bool)
	Names(term store.Term) iter.Seq[string]
}

// List returns up to limit keys whose names come after one, in order of names. Fewer than limit: there are no more. The
// empty name comes before all.
func (k *Keystore) List(ctx context.Context, after string, limit int) ([]Key, error) {
	var keys []Key
	err := k.store.View(ctx, func(r store.Reader) error {
		for id, value := range r.Entries(gatewayv1.Part_PART_KEYS, store.ID{Kind: gatewayv1.Kind_KIND_KEY, ID: after}) {
			if len(keys) >= limit {
				return nil
			}
			m, err := decode(id.ID, value)
			if err != nil {
				return err
			}
			keys = append(keys, fromProto(id.ID, m, k.lastUsed(r)))
		}
		return nil
	})
	return keys, err
}

// Get returns the key of that name or, if no key has the name, the key that has a secret of that id. Errors: ErrNotFound,
// ErrAmbiguous.
func (k *Keystore) Get(ctx context.Context, nameOrID string) (key Key, err error) {
	err = k.store.View(ctx, func(r store.Reader) error {
		name, m, err := k.lookup(r, nameOrID)
		if err != nil {
			return err
		}
		key = fromProto(name, m, k.lastUsed(r))
		return nil
	})
	return key, err
}

// lookup finds a key by name, which wins, or by the id of a secret.
func (k *Keystore) lookup(r reader, nameOrID string) (string, *gatewayv1.Key, error) {
	key, err := k.get(r, nameOrID)
	if key != nil || err != nil {
		return nameOrID, key, err
	}
	names := slices.Collect(r.Names(store.BySecretID(nameOrID)))
	switch len(names) {
	case 0:
		return "", nil, fmt.Errorf("key %q: %w (want the name of a key or the id of a secret)", nameOrID, ErrNotFound)
	case 1:
		key, err = k.get(r, names[0])
		return names[0], key, err
	}
	return "", nil, fmt.Errorf("key %q: %w, it is the id of secrets of the keys %s (want one of these names)", nameOrID,
		ErrAmbiguous, strings.Join(names, ", "))
}

// get returns a key, or nil.
func (k *Keystore) get(r reader, name string) (*gatewayv1.Key, error) {
	value, ok := r.Get(gatewayv1.Kind_KIND_KEY, name)
	if !ok {
		return nil, nil
	}
	return decode(name, value)
}

func decode(name string, value []byte) (*gatewayv1.Key, error) {
	key := &gatewayv1.Key{}
	if err := proto.Unmarshal(value, key); err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return key, nil
}

// fileKey refuses to change a key of the file.
func (k *Keystore) fileKey(name string) error {
	e := &FileKeyError{Name: name}
	if k.file != nil {
		e.File, e.Line, _ = k.file.Line(name)
	}
	return e
}

// source says where a key is declared, for people.
func (k *Keystore) source(name string, key *gatewayv1.Key) string {
	if key.GetSource() != gatewayv1.KeySource_KEY_SOURCE_FILE {
		return "the store"
	}
	if k.file == nil {
		return place("", 0)
	}
	file, line, _ := k.file.Line(name)
	return place(file, line)
}

func (k *Keystore) sourceOf(r reader, name string) string {
	key, err := k.get(r, name)
	if err != nil {
		return "the store"
	}
	return k.source(name, key)
}
