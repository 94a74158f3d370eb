package publish

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt"
	"apigateway/controlplane/internal/store/bolt/bolttest"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errFail = errors.New("fails")

// place returns what opens a store in a new file.
func place(tb testing.TB) func() store.Store {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), fmt.Sprint(rand.Uint64()), "store.db")
	return func() store.Store {
		s, err := bolt.OpenWith(path, bolt.Options{NoSync: true})
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
}

func publisher(tb testing.TB, s store.Store) *Publisher {
	tb.Helper()
	p, err := New(tb.Context(), s, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// started returns a publisher on an empty store, closed at the end of the test.
func started(t *testing.T) *Publisher {
	t.Helper()
	p := publisher(t, bolttest.Open(t))
	t.Cleanup(p.Close)
	return p
}

// keyValue returns a key with one secret, padded with a service name.
func keyValue(t tester, secret, padding string) []byte {
	t.Helper()
	hash := sha256.Sum256([]byte(secret))
	value, err := proto.Marshal(&gatewayv1.Key{
		Source: gatewayv1.KeySource_KEY_SOURCE_STORE, Services: []string{padding},
		Secrets: []*gatewayv1.Secret{{Sha256: hash[:], Id: secret}},
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return value
}

func secretsOf(id store.ID, value []byte) []*gatewayv1.Secret {
	var key gatewayv1.Key
	if id.Kind != gatewayv1.Kind_KIND_KEY || proto.Unmarshal(value, &key) != nil {
		return nil
	}
	return key.GetSecrets()
}

// putKey commits one key.
func putKey(t tester, p *Publisher, name, secret string) Commit {
	t.Helper()
	return commit(t, p, func(tx Tx) { tx.Put(gatewayv1.Kind_KIND_KEY, name, keyValue(t, secret, "")) })
}

func commit(t tester, p *Publisher, fn func(Tx)) Commit {
	t.Helper()
	c, err := p.Commit(p.ctx, func(tx Tx) error {
		fn(tx)
		return nil
	})
	if err != nil {
		t.Fatalf("Commit() = %v", err)
	}
	return c
}
