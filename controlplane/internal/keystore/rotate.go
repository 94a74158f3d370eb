package keystore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// RotateRequest gives a key a new secret.
type RotateRequest struct {
	// Name of the key.
	Name string
	// Hash and SecretID are those of the new secret, as in AddRequest.
	Hash     [32]byte
	SecretID string
	// ExpiresAt is when the new secret ends, as in AddRequest; nil: it lives as long as the newest one was made to.
	ExpiresAt *time.Time
	// Overlap is how long the old secret goes on, unless it ends before by itself; 0: it ends at once.
	Overlap time.Duration
}

// Rotate adds a secret and ends the other after the overlap. The same hash again succeeds and changes nothing. Expired
// secrets go. Errors: ErrNotFound, ErrInvalid, ErrExists, ErrThirdSecret, FileKeyError.
func (k *Keystore) Rotate(ctx context.Context, r RotateRequest) (Change, error) {
	if r.Overlap < 0 {
		return Change{}, fmt.Errorf("key %q: overlap: %w, got %v (want 0 or more)", r.Name, ErrInvalid, r.Overlap)
	}
	if err := checkSecretID(r.Name, r.SecretID); err != nil {
		return Change{}, err
	}
	now := k.now()
	if r.ExpiresAt != nil {
		if err := checkExpiry(r.Name, *r.ExpiresAt, now); err != nil {
			return Change{}, err
		}
	}
	fresh := &gatewayv1.Secret{Sha256: r.Hash[:], Id: r.SecretID, CreatedAtMs: now.UnixMilli()}
	return k.change(ctx, r.Name, func(tx publish.Tx) (*gatewayv1.Key, error) {
		key, err := k.get(tx, r.Name)
		switch {
		case err != nil:
			return nil, err
		case key == nil:
			return nil, fmt.Errorf("key %q: %w", r.Name, ErrNotFound)
		case key.GetSource() == gatewayv1.KeySource_KEY_SOURCE_FILE:
			return nil, k.fileKey(r.Name)
		case find(key, r.Hash) != nil:
			return key, nil
		}
		if err := k.checkFree(tx, r.Name, fresh); err != nil {
			return nil, err
		}
		fresh.ExpiresAtMs = expiry(key, r.ExpiresAt, now)
		if err := rotate(key, fresh, now, r.Overlap); err != nil {
			return nil, fmt.Errorf("key %q: %w", r.Name, err)
		}
		return key, put(tx, r.Name, key)
	})
}

// expiry is when a new secret of a key ends: as asked or, if nothing was asked, after the lifetime of its newest secret.
func expiry(key *gatewayv1.Key, asked *time.Time, now time.Time) int64 {
	if asked != nil {
		return toMillis(*asked)
	}
	secrets := key.GetSecrets()
	if len(secrets) == 0 || secrets[len(secrets)-1].GetExpiresAtMs() == 0 {
		return 0
	}
	newest := secrets[len(secrets)-1]
	return now.UnixMilli() + newest.GetExpiresAtMs() - newest.GetCreatedAtMs()
}

// rotate adds a secret to a key and ends the one before.
func rotate(key *gatewayv1.Key, fresh *gatewayv1.Secret, now time.Time, overlap time.Duration) error {
	live := slices.DeleteFunc(slices.Clone(key.GetSecrets()), func(s *gatewayv1.Secret) bool {
		return s.GetExpiresAtMs() != 0 && s.GetExpiresAtMs() <= now.UnixMilli()
	})
	if len(live) > 1 {
		return fmt.Errorf("%w, got a third (want one of them to end first: %s)", ErrThirdSecret, ends(live))
	}
	if overlap == 0 {
		live = nil
	}
	until := now.Add(overlap).UnixMilli()
	for _, s := range live {
		if s.GetExpiresAtMs() == 0 || s.GetExpiresAtMs() > until {
			s.ExpiresAtMs = until
		}
	}
	key.Secrets = append(live, fresh)
	return nil
}

// ends says when secrets end, for people.
func ends(secrets []*gatewayv1.Secret) string {
	said := make([]string, len(secrets))
	for i, s := range secrets {
		said[i] = store.SecretID(s) + " never ends"
		if s.GetExpiresAtMs() != 0 {
			said[i] = store.SecretID(s) + " ends " + fromMillis(s.GetExpiresAtMs()).UTC().Format(time.RFC3339)
		}
	}
	return strings.Join(said, ", ")
}
