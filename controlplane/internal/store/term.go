package store

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Term is something a key can be found by. Stores index keys by their terms in the transaction that changes the keys,
// because no lookup may read millions of them.
type Term string

// FromFile is the term of each key that the configuration file declares.
const FromFile Term = "f"

// ByHash is the term of each key with a secret of this SHA-256.
func ByHash(hash [32]byte) Term { return Term("h" + string(hash[:])) }

// BySecretID is the term of each key with a secret of this id. Ids made from hashes have 48 bits: among ten million keys
// two may share one.
func BySecretID(id string) Term { return Term("i" + id) }

// Terms returns what an entry can be found by: nothing unless it is a key. It fails if the value is not a key with
// well-formed secrets.
func Terms(id ID, value []byte) ([]Term, error) {
	if id.Kind != gatewayv1.Kind_KIND_KEY {
		return nil, nil
	}
	var key gatewayv1.Key
	if err := proto.Unmarshal(value, &key); err != nil {
		return nil, fmt.Errorf("key %q: %w", id.ID, err)
	}
	terms := make([]Term, 0, 2*len(key.GetSecrets())+1)
	for i, s := range key.GetSecrets() {
		if len(s.GetSha256()) != len([32]byte{}) {
			return nil, fmt.Errorf("key %q: secrets[%d].sha256: wrong length, got %d bytes (want 32)", id.ID, i, len(s.GetSha256()))
		}
		terms = append(terms, ByHash([32]byte(s.GetSha256())), BySecretID(SecretID(s)))
	}
	if key.GetSource() == gatewayv1.KeySource_KEY_SOURCE_FILE {
		terms = append(terms, FromFile)
	}
	return terms, nil
}

// SecretID returns the id of a secret: its own, or that of its hash, which must be 32 bytes long.
func SecretID(s *gatewayv1.Secret) string {
	if s.GetId() != "" {
		return s.GetId()
	}
	return apikey.HashID([32]byte(s.GetSha256()))
}

// Shareable reports whether several keys may have the term: a secret belongs to one key.
func (t Term) Shareable() bool { return t[0] != 'h' }
