package keys

import (
	"sync/atomic"
	"time"
)

// maxSecrets is how many secrets a key may have: two during a rotation.
const maxSecrets = 2

// entry is what is known under one name. It stays the same for as long as the name is listed.
type entry struct {
	current atomic.Pointer[version] // nil: admits nobody
	first   version                 // the one it began with: here, most lookups find all they need side by side
	name    string
	raw     []byte // as sent; guarded by Table.mu, the bytes never change
}

// version is an identity in the form that lookups need, in one piece: among a million keys, it is the misses of the
// cache that cost. All but used is immutable once it is current.
type version struct {
	identity *Identity
	n        int // of secrets
	secrets  [maxSecrets]secret
}

type secret struct {
	hash      Hash
	expiresAt int64         // as in Secret
	used      atomic.Uint32 // minute of the last noted use, since 1970
}

// next returns the version for id that may follow e's current one; nil for nil.
func (e *entry) next(id *Identity) *version {
	if id == nil {
		return nil
	}
	v := &e.first
	if v.identity != nil {
		v = new(version) // somebody may be reading the first
	}
	v.identity, v.n = id, len(id.Secrets)
	for i := range id.Secrets {
		s := &v.secrets[i]
		s.hash, s.expiresAt = id.Secrets[i].Hash, id.Secrets[i].ExpiresAt
		if before := e.current.Load().find(&s.hash); before != nil {
			s.used.Store(before.used.Load())
		}
	}
	return v
}

// all returns v's secrets; none for nil.
func (v *version) all() []secret {
	if v == nil {
		return nil
	}
	return v.secrets[:v.n]
}

// find returns the secret with the given hash, nil if there is none. It may be called on nil.
func (v *version) find(h *Hash) *secret {
	for i := range v.all() {
		if s := &v.secrets[i]; s.hash == *h {
			return s
		}
	}
	return nil
}

// verdict says whether s is valid at now. It may be called on nil.
func (s *secret) verdict(now time.Time) Verdict {
	switch {
	case s == nil:
		return Unknown
	case s.expiresAt != 0 && now.UnixMilli() >= s.expiresAt:
		return Expired
	default:
		return OK
	}
}
