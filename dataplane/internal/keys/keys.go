// Package keys holds the API keys of a data plane and answers, for each request, whose key it carries.
//
// A secret is known by its SHA-256 only. A lookup takes no lock and allocates nothing; its cost hardly depends on the
// number of keys. One change of a key is one store of a pointer, so that no lookup ever sees half of it: in between,
// after a rotation say, that the new secret is valid and the old one has not been given its end yet.
//
// Two rules decide in doubt, both towards admitting nobody:
//   - An entry that cannot be used (its identity is nil) stays listed with the bytes as sent, and none of its secrets is valid.
//   - A secret belongs to the name that put it first. A later entry with the same secret is unusable as a whole and Put
//     says so; it stays unusable, also when the first holder goes, until it is put again.
//
// The comparison of hashes is not constant in time: who could learn a stored hash from it, byte by byte, would have to
// find secrets with chosen SHA-256 prefixes, and would then know a hash, not a secret.
//
// The package knows no HTTP, no protobuf and keeps no clock. Everything in it is safe for concurrent use.
package keys

import (
	"crypto/sha256"
	"slices"
	"unsafe"
)

// Hash is the SHA-256 of a secret.
type Hash [sha256.Size]byte

// HashOf returns the hash of a secret. It does not allocate.
func HashOf(secret string) Hash {
	// No copy of the secret: SHA-256 reads the bytes and keeps nothing.
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(secret), len(secret)))
}

// Secret is one of the secrets of a key.
type Secret struct {
	ID        string // for operators; not secret
	Hash      Hash
	ExpiresAt int64 // valid before it, in Unix milliseconds; 0: never expires
}

// Identity is what a key stands for. It never changes once it is in a table.
type Identity struct {
	Name     string   // the name it is put under
	All      bool     // admits to every service
	Services []string // without All: to these; empty admits to none
	Secrets  []Secret // one or two; none: nobody has this key
}

// Allows reports whether the key admits to a service. The nil identity admits to none.
func (i *Identity) Allows(service string) bool {
	return i != nil && (i.All || slices.Contains(i.Services, service))
}

// Verdict is the answer to a verification.
type Verdict uint8

// The verdicts.
const (
	OK      Verdict = iota
	Unknown         // no such secret, or its key was removed or is unusable
	Expired         // the secret's time is over
)

// String returns ok, unknown or expired.
func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Unknown:
		return "unknown"
	case Expired:
		return "expired"
	default:
		return "invalid"
	}
}
