package keystore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Add declares a key. The same request succeeds again and changes nothing: the same name, hash and services, and an end within a
// minute of the first one. Errors: ErrInvalid, ErrExists.
func (k *Keystore) Add(ctx context.Context, r AddRequest) (Change, error) {
	now := k.now()
	if err := checkAdd(r, now); err != nil {
		return Change{}, err
	}
	key := &gatewayv1.Key{
		Source:   gatewayv1.KeySource_KEY_SOURCE_STORE,
		Only:     len(r.Services) > 0,
		Services: slices.Clone(r.Services),
		Secrets: []*gatewayv1.Secret{{
			Sha256: r.Hash[:], Id: r.SecretID, ExpiresAtMs: toMillis(r.ExpiresAt), CreatedAtMs: now.UnixMilli(),
		}},
	}
	return k.change(ctx, r.Name, func(tx publish.Tx) (*gatewayv1.Key, error) {
		old, err := k.get(tx, r.Name)
		if err != nil {
			return nil, err
		}
		if old != nil {
			return old, k.checkAgain(r, old, now)
		}
		if err := checkServices(tx, r); err != nil {
			return nil, err
		}
		if err := k.checkFree(tx, r.Name, key.GetSecrets()[0]); err != nil {
			return nil, err
		}
		return key, put(tx, r.Name, key)
	})
}

// checkAdd checks what a request says by itself.
func checkAdd(r AddRequest, now time.Time) error {
	if err := apikey.ValidName(r.Name); err != nil {
		return fmt.Errorf("key: %w: %w", ErrInvalid, err)
	}
	if err := checkExpiry(r.Name, r.ExpiresAt, now); err != nil {
		return err
	}
	return checkSecretID(r.Name, r.SecretID)
}

// maxYears bounds how far ahead a secret may end, so that every end has a year of four digits, as RFC 3339 writes it.
const maxYears = 1000

// checkExpiry wants an end in the future, or none.
func checkExpiry(name string, at, now time.Time) error {
	latest := now.AddDate(maxYears, 0, 0)
	switch {
	case at.IsZero():
		return nil
	case !at.After(now):
		return fmt.Errorf("key %q: expires_at: %w, lies in the past, got %s (want after %s)", name, ErrInvalid, expiryText(at), expiryText(now))
	case !at.Before(latest):
		return fmt.Errorf("key %q: expires_at: %w, lies too far ahead, got year %d (want before %s)", name, ErrInvalid, at.UTC().Year(), expiryText(latest))
	}
	return nil
}

func checkSecretID(name, id string) error {
	if id == "" {
		return nil
	}
	if err := apikey.ValidName(id); err != nil {
		return fmt.Errorf("key %q: secret_id: %w: %w", name, ErrInvalid, err)
	}
	return nil
}

// retryWindow bounds the time between an Add and its retry: an operator's tool that counts a secret's life from now asks for as much later
// an end.
const retryWindow = time.Minute

// checkAgain tells a retry of an Add, which may be answered like the first, from another Add of the same name.
func (k *Keystore) checkAgain(r AddRequest, old *gatewayv1.Key, now time.Time) error {
	secret := find(old, r.Hash)
	if old.GetSource() == gatewayv1.KeySource_KEY_SOURCE_FILE || secret == nil {
		return fmt.Errorf("key %q: %w, declared in %s", r.Name, ErrExists, k.source(r.Name, old))
	}
	expires := fromMillis(secret.GetExpiresAtMs())
	if !expires.IsZero() && !expires.After(now) {
		return fmt.Errorf("key %q: %w, but this secret expired at %s", r.Name, ErrExists, expiryText(expires))
	}
	if !slices.Equal(sorted(r.Services), sorted(old.GetServices())) || old.GetOnly() != (len(r.Services) > 0) {
		return fmt.Errorf("key %q: %w with another scope, got %s (want %s)", r.Name, ErrExists, scopeText(len(r.Services) > 0, r.Services),
			scopeText(old.GetOnly(), old.GetServices()))
	}
	if expires.IsZero() != r.ExpiresAt.IsZero() || r.ExpiresAt.Sub(expires).Abs() > retryWindow {
		return fmt.Errorf("key %q: %w with another expiry, got %s (want %s)", r.Name, ErrExists, expiryText(r.ExpiresAt), expiryText(expires))
	}
	return nil
}

func sorted(services []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(services)))
}

func scopeText(only bool, services []string) string {
	if !only {
		return "all services"
	}
	return "services " + strings.Join(services, ", ")
}

func expiryText(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339)
}

func checkServices(tx publish.Tx, r AddRequest) error {
	var unknown []string
	for _, s := range r.Services {
		if _, ok := tx.Get(gatewayv1.Kind_KIND_SERVICE, s); !ok {
			unknown = append(unknown, fmt.Sprintf("%q", s))
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("key %q: services: %w, not in the configuration: %s", r.Name, ErrInvalid, strings.Join(unknown, ", "))
	}
	return nil
}

// checkFree checks that a new secret, and its id, belong to no key yet.
func (k *Keystore) checkFree(tx publish.Tx, name string, s *gatewayv1.Secret) error {
	if owner, ok := tx.KeyByHash([32]byte(s.GetSha256())); ok {
		return fmt.Errorf("key %q: secret %w, it is that of key %q, declared in %s", name, ErrExists, owner, k.sourceOf(tx, owner))
	}
	id := store.SecretID(s)
	for owner := range tx.Names(store.BySecretID(id)) {
		return fmt.Errorf("key %q: secret id %q %w, it is that of a secret of key %q, declared in %s", name, id, ErrExists,
			owner, k.sourceOf(tx, owner))
	}
	return nil
}

// Revoke ends all secrets of the key of that name or, if no key has the name, the secret of that id; the last one takes
// its key with it. A revoked name is free again. Errors: ErrNotFound, ErrAmbiguous, FileKeyError.
func (k *Keystore) Revoke(ctx context.Context, nameOrID string) (Change, error) {
	var ended []string
	var name string
	change, err := k.change(ctx, nameOrID, func(tx publish.Tx) (key *gatewayv1.Key, err error) {
		if name, key, err = k.lookup(tx, nameOrID); err != nil {
			return nil, err
		}
		if key.GetSource() == gatewayv1.KeySource_KEY_SOURCE_FILE {
			return nil, k.fileKey(name)
		}
		var left []*gatewayv1.Secret
		for _, s := range key.GetSecrets() {
			if id := store.SecretID(s); name == nameOrID || id == nameOrID {
				ended = append(ended, id)
			} else {
				left = append(left, s)
			}
		}
		key.Secrets = left
		if len(left) > 0 {
			return key, put(tx, name, key)
		}
		tx.Remove(gatewayv1.Kind_KIND_KEY, name)
		return key, nil
	})
	if err != nil {
		return Change{}, err
	}
	change.Key.Name, change.SecretIDs = name, ended
	k.uses.forget(name, ended)
	return change, nil
}

// change commits what fn makes of a key and tells what it became.
func (k *Keystore) change(ctx context.Context, name string, fn func(publish.Tx) (*gatewayv1.Key, error)) (Change, error) {
	var key *gatewayv1.Key
	c, err := k.changes.Commit(ctx, func(tx publish.Tx) (err error) {
		key, err = fn(tx)
		return err
	})
	if err != nil {
		return Change{}, err
	}
	return Change{Key: k.stored(ctx, name, key), Revision: c.KeysRevision, At: c.At}, nil
}

// stored makes a Key of what was stored. The last use of its secrets is no part of the change: it may be missing.
func (k *Keystore) stored(ctx context.Context, name string, m *gatewayv1.Key) Key {
	key := fromProto(name, m, k.uses.last)
	_ = k.store.View(ctx, func(r store.Reader) error {
		key = fromProto(name, m, k.lastUsed(r))
		return nil
	})
	return key
}

func put(tx publish.Tx, name string, key *gatewayv1.Key) error {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(key)
	if err != nil {
		return fmt.Errorf("key %q: %w", name, err)
	}
	tx.Put(gatewayv1.Kind_KIND_KEY, name, value)
	return nil
}

func find(key *gatewayv1.Key, hash [32]byte) *gatewayv1.Secret {
	for _, s := range key.GetSecrets() {
		if string(s.GetSha256()) == string(hash[:]) {
			return s
		}
	}
	return nil
}
