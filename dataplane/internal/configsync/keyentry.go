package configsync

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/snapshot"
	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// parseKey reads a key's entry. The error says why it can admit nobody; the identity is nil then.
func parseKey(name string, raw []byte) (*keys.Identity, error) {
	var k gatewayv1.Key
	if err := proto.Unmarshal(raw, &k); err != nil {
		return nil, fmt.Errorf("not a key: %w", err)
	}
	if hasUnknown(&k) {
		return nil, fmt.Errorf("unknown fields %s: this data plane is too old for it", snapshot.UnknownFields(&k))
	}
	if n := len(k.GetSecrets()); n < 1 || n > 2 {
		return nil, fmt.Errorf("got %d secrets (want 1 or 2)", n)
	}
	id := &keys.Identity{Name: name, All: !k.GetOnly(), Services: k.GetServices()}
	for i, s := range k.GetSecrets() {
		if len(s.GetSha256()) != len(keys.Hash{}) {
			return nil, fmt.Errorf("secret %d: hash of %d bytes (want %d)", i+1, len(s.GetSha256()), len(keys.Hash{}))
		}
		secret := keys.Secret{ID: s.GetId(), Hash: keys.Hash(s.GetSha256()), ExpiresAt: s.GetExpiresAtMs()}
		if secret.ID == "" {
			secret.ID = apikey.HashID(secret.Hash)
		}
		id.Secrets = append(id.Secrets, secret)
	}
	return id, nil
}

// hasUnknown is snapshot.UnknownFields without the cost of general reflection: a restart asks it for every key.
func hasUnknown(k *gatewayv1.Key) bool {
	for _, s := range k.GetSecrets() {
		if len(s.ProtoReflect().GetUnknown()) > 0 {
			return true
		}
	}
	return len(k.ProtoReflect().GetUnknown()) > 0
}
