package keystore

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt/bolttest"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(adderEnv); path != "" {
		addUntilKilled(path)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fixture is a keystore over a store with the services users and orders and the file key "filed", with a clock.
type fixture struct {
	*Keystore
	store store.Store
	p     *publish.Publisher
	now   time.Time
}

type lines map[string]int

func (l lines) Line(name string) (string, int, bool) {
	line, ok := l[name]
	return "gateway.yaml", line, ok
}

func setup(t *testing.T) *fixture {
	t.Helper()
	s := bolttest.Open(t)
	log := slog.New(slog.DiscardHandler)
	p, err := publish.New(context.Background(), s, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	f := &fixture{store: s, p: p, now: start}
	f.Keystore = New(p, s, Options{FileKeys: lines{"filed": 12}, Now: func() time.Time { return f.now }, Log: log})
	hash := sha256.Sum256([]byte("of the file"))
	filed, err := proto.Marshal(&gatewayv1.Key{
		Source: gatewayv1.KeySource_KEY_SOURCE_FILE, Secrets: []*gatewayv1.Secret{{Sha256: hash[:], Id: "id-filed"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Commit(t.Context(), func(tx publish.Tx) error {
		tx.Put(gatewayv1.Kind_KIND_SERVICE, "users", nil)
		tx.Put(gatewayv1.Kind_KIND_SERVICE, "orders", nil)
		tx.Put(gatewayv1.Kind_KIND_KEY, "filed", filed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func hash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

func (f *fixture) add(t *testing.T, name, secret string) Change {
	t.Helper()
	c, err := f.Add(t.Context(), AddRequest{Name: name, Hash: hash(secret), SecretID: "id-" + secret})
	if err != nil {
		t.Fatalf("Add(%q) = %v", name, err)
	}
	return c
}

// rotateAlice rotates the key of that name.
func (f *fixture) rotateAlice(t *testing.T, secret string, overlap time.Duration) Change {
	t.Helper()
	c, err := f.Rotate(t.Context(), RotateRequest{Name: "alice", Hash: hash(secret), SecretID: "id-" + secret, Overlap: overlap})
	if err != nil {
		t.Fatalf("Rotate() = %v", err)
	}
	return c
}

// secrets describes those of a key as "id" or "id until when", after start.
func secrets(k Key) (said []string) {
	for _, s := range k.Secrets {
		text := s.ID
		if !s.ExpiresAt.IsZero() {
			text += " until " + s.ExpiresAt.Sub(start).String()
		}
		said = append(said, text)
	}
	return said
}

// wantAlice looks at the secrets of the key of that name.
func (f *fixture) wantAlice(t *testing.T, want ...string) {
	t.Helper()
	k, err := f.Get(t.Context(), "alice")
	if err != nil {
		t.Fatalf("Get() = %v", err)
	}
	diff(t, "secrets", secrets(k), want)
}

func diff(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
