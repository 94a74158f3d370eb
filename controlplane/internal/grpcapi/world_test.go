package grpcapi

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/keystore"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/reload"
	"apigateway/controlplane/internal/store/bolt"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	configPart = gatewayv1.Part_PART_CONFIG
	keysPart   = gatewayv1.Part_PART_KEYS
)

// unhurried are timings that no test reaches.
var unhurried = timings{hello: time.Hour, answer: time.Hour, heartbeat: time.Hour}

// patience bounds every wait of a test.
const patience = 30 * time.Second

// world is a control plane on a real store behind an in-memory listener.
type world struct {
	t         *testing.T
	publisher *publish.Publisher
	keys      *keystore.Keystore
	fleet     *fleet.Fleet
	file      *reload.File
	srv       *Server
	conn      *grpc.ClientConn
}

// options of a world.
type options struct {
	timings  timings
	adoptAll bool
	config   func(ConfigFile) ConfigFile // wraps the file; nil: as it is
}

const twoServices = `
services:
  - {name: users, route_pattern: /users, urls: ["http://localhost:8081"], middleware: [auth_apikey]}
  - {name: orders, route_pattern: /orders, urls: ["http://localhost:8082"], middleware: [auth_apikey]}
middleware_config:
  auth_apikey:
    valid_keys: [{name: carol, key: carols}]
`

// config is a configuration with so many services.
func configOf(services ...string) string {
	var b strings.Builder
	b.WriteString("services:\n")
	for _, s := range services {
		b.WriteString("  - {name: " + s + ", route_pattern: /" + s + ", urls: [\"http://localhost:8081\"], middleware: [auth_apikey]}\n")
	}
	return b.String()
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	if o.timings == (timings{}) {
		o.timings = unhurried
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := bolt.OpenWith(filepath.Join(t.TempDir(), "store.db"), bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t}
	if w.publisher, err = publish.New(t.Context(), s, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.publisher.Close)
	w.file = reload.New("/etc/gateway.yaml", w.publisher, log)
	w.keys = keystore.New(w.publisher, s, keystore.Options{FileKeys: w.file, Log: log})
	if w.fleet, err = fleet.New(t.Context(), s, log, nil); err != nil {
		t.Fatal(err)
	}
	w.load(twoServices)
	var config ConfigFile = w.file
	if o.config != nil {
		config = o.config(config)
	}
	w.serve(newServer(Deps{Publisher: w.publisher, Keys: w.keys, Fleet: w.fleet, Config: config, Log: log, AdoptAll: o.adoptAll}, o.timings))
	return w
}

func (w *world) serve(srv *Server) {
	w.t.Helper()
	w.srv = srv
	l := bufconn.Listen(1 << 16)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	w.t.Cleanup(func() {
		srv.Stop()
		if err := <-served; err != nil {
			w.t.Errorf("Serve() = %v, want nil", err)
		}
	})
	conn, err := grpc.NewClient("passthrough:///control", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithInitialWindowSize(1<<16), grpc.WithInitialConnWindowSize(1<<24)) // a stream that nobody reads stops early
	if err != nil {
		w.t.Fatal(err)
	}
	w.conn = conn
	w.t.Cleanup(func() { _ = conn.Close() })
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) load(yaml string) {
	w.t.Helper()
	if err := w.file.Load(w.t.Context(), []byte(yaml)); err != nil {
		w.t.Fatal(err)
	}
}

func secretOf(name string) [32]byte { return sha256.Sum256([]byte("secret of " + name)) }

// addKey returns the revision that brought a key.
func (w *world) addKey(name string) uint64 {
	w.t.Helper()
	change, err := w.keys.Add(w.t.Context(), keystore.AddRequest{Name: name, Hash: secretOf(name)})
	if err != nil {
		w.t.Fatal(err)
	}
	return change.Revision
}

// putKeys puts keys of about size bytes in one revision.
func (w *world) putKeys(names []string, size int) {
	w.t.Helper()
	padding := strings.Repeat("s", size)
	_, err := w.publisher.Commit(w.t.Context(), func(tx publish.Tx) error {
		for _, name := range names {
			hash := secretOf(name)
			value, err := proto.Marshal(&gatewayv1.Key{Source: gatewayv1.KeySource_KEY_SOURCE_STORE, Services: []string{padding}, Secrets: []*gatewayv1.Secret{{Sha256: hash[:]}}})
			if err != nil {
				return err
			}
			tx.Put(gatewayv1.Kind_KIND_KEY, name, value)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits until fn is true of the fleet.
func (w *world) eventually(what string, fn func() bool) {
	w.t.Helper()
	changed, end := w.fleet.Subscribe()
	defer end()
	limit := time.After(patience)
	for !fn() {
		select {
		case <-changed:
		case <-limit:
			w.t.Fatalf("never: %s", what)
		}
	}
}

// becomes waits until a data plane is in a state.
func (w *world) becomes(id string, want gatewayv1.DataPlaneState) {
	w.t.Helper()
	w.eventually(id+" is "+want.String(), func() bool {
		m := w.fleet.Member(id)
		return m != nil && m.Describe(w.publisher.State()).GetState() == want
	})
}

const (
	serving      = gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING
	lagging      = gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING
	rejecting    = gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED
	isForeign    = gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN
	disconnected = gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED
)

// wantStatus checks the code and the message of an error; the message may be left out.
func wantStatus(t *testing.T, err error, code codes.Code, message string) {
	t.Helper()
	got := status.Convert(err)
	if got.Code() != code || message != "" && got.Message() != message {
		t.Errorf("got %v %q, want %v %q", got.Code(), got.Message(), code, message)
	}
	if strings.ContainsAny(got.Message(), "\n\r") {
		t.Errorf("message %q has several lines", got.Message())
	}
}
