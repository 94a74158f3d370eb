package storetest

import (
	"crypto/sha256"
	"maps"
	"testing"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// History makes records that follow from each other. The zero History begins with an empty store.
type History struct {
	revision uint64
	digests  [3]gatewayv1.Digest // by part
	values   map[store.ID][]byte
}

// Clone returns a history that goes on from here by itself.
func (h *History) Clone() *History {
	return &History{revision: h.revision, digests: h.digests, values: maps.Clone(h.values)}
}

// Put returns the next record, which puts one entry.
func (h *History) Put(t *testing.T, id store.ID, value []byte) store.Record {
	t.Helper()
	return h.record(t, &gatewayv1.Record{
		Part: id.Part(),
		Puts: []*gatewayv1.Entry{{Kind: id.Kind, Id: id.ID, Value: value}},
	})
}

// Remove returns the next record, which removes one entry that is there.
func (h *History) Remove(t *testing.T, id store.ID) store.Record {
	t.Helper()
	return h.record(t, &gatewayv1.Record{
		Part:    id.Part(),
		Removes: []*gatewayv1.EntryRef{{Kind: id.Kind, Id: id.ID}},
	})
}

func (h *History) record(t *testing.T, r *gatewayv1.Record) store.Record {
	t.Helper()
	if h.values == nil {
		h.values = map[store.ID][]byte{}
	}
	digest := &h.digests[r.GetPart()]
	drop := func(id store.ID) {
		if old, ok := h.values[id]; ok {
			*digest = digest.Sub(gatewayv1.EntryDigest(id.Kind, id.ID, old))
			delete(h.values, id)
		}
	}
	for _, e := range r.GetRemoves() {
		drop(store.ID{Kind: e.GetKind(), ID: e.GetId()})
	}
	for _, e := range r.GetPuts() {
		id := store.ID{Kind: e.GetKind(), ID: e.GetId()}
		drop(id)
		h.values[id] = e.GetValue()
		*digest = digest.Add(gatewayv1.EntryDigest(id.Kind, id.ID, e.GetValue()))
	}
	h.revision++
	r.Revision, r.DigestAfter = h.revision, digest.Bytes()
	encoded, err := proto.Marshal(&gatewayv1.SyncResponse{Records: []*gatewayv1.Record{r}})
	if err != nil {
		t.Fatal(err)
	}
	return store.Record{Record: r, Encoded: encoded}
}

// Setting names the entry of the settings.
func Setting() store.ID { return store.ID{Kind: gatewayv1.Kind_KIND_SETTINGS} }

// Service names the entry of a service.
func Service(name string) store.ID { return store.ID{Kind: gatewayv1.Kind_KIND_SERVICE, ID: name} }

// KeyNamed names the entry of a key.
func KeyNamed(name string) store.ID { return store.ID{Kind: gatewayv1.Kind_KIND_KEY, ID: name} }

// Hash returns the SHA-256 of a secret.
func Hash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// Key returns the value of a key with these secrets; the id of each is "id-" and the secret.
func Key(t *testing.T, source gatewayv1.KeySource, secrets ...string) []byte {
	t.Helper()
	key := &gatewayv1.Key{Source: source}
	for _, s := range secrets {
		hash := Hash(s)
		key.Secrets = append(key.Secrets, &gatewayv1.Secret{Sha256: hash[:], Id: "id-" + s})
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
