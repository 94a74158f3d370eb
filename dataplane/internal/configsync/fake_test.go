package configsync

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/snapshot"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	configID = gatewayv1.Part_PART_CONFIG
	keysID   = gatewayv1.Part_PART_KEYS
)

// store is what a scripted control plane holds: enough of one to give right digests.
type store struct {
	epoch   string
	lineage []*gatewayv1.Ancestor
	entries map[gatewayv1.Part]map[cache.Ref][]byte
	state   map[gatewayv1.Part]*gatewayv1.PartState
	head    uint64
}

func newStore(epoch string) *store {
	s := &store{epoch: epoch, entries: map[gatewayv1.Part]map[cache.Ref][]byte{}, state: map[gatewayv1.Part]*gatewayv1.PartState{}}
	for _, id := range []gatewayv1.Part{configID, keysID} {
		s.entries[id] = map[cache.Ref][]byte{}
		s.state[id] = &gatewayv1.PartState{Part: id, Digest: gatewayv1.Digest{}.Bytes()}
	}
	return s
}

// change is one revision: values that are nil are removed.
func (s *store) change(id gatewayv1.Part, puts map[cache.Ref][]byte) *gatewayv1.Record {
	s.head++
	rec := &gatewayv1.Record{Revision: s.head, Part: id}
	for ref, value := range puts {
		if value == nil {
			delete(s.entries[id], ref)
			rec.Removes = append(rec.Removes, &gatewayv1.EntryRef{Kind: ref.Kind, Id: ref.ID})
			continue
		}
		s.entries[id][ref] = value
		rec.Puts = append(rec.Puts, &gatewayv1.Entry{Kind: ref.Kind, Id: ref.ID, Value: value})
	}
	var d gatewayv1.Digest
	for ref, value := range s.entries[id] {
		d = d.Add(gatewayv1.EntryDigest(ref.Kind, ref.ID, value))
	}
	rec.DigestAfter = d.Bytes()
	s.state[id] = &gatewayv1.PartState{Part: id, Revision: s.head, Digest: d.Bytes(), Count: uint64(len(s.entries[id]))}
	return rec
}

// chunks returns the whole of a part, n entries in each chunk.
func (s *store) chunks(id gatewayv1.Part, n int) (out []*gatewayv1.SnapshotChunk) {
	var list []*gatewayv1.Entry
	for ref, value := range s.entries[id] {
		list = append(list, &gatewayv1.Entry{Kind: ref.Kind, Id: ref.ID, Value: value})
	}
	for page := range slices.Chunk(list, n) {
		out = append(out, &gatewayv1.SnapshotChunk{State: s.state[id], Index: uint32(len(out)), Entries: page})
	}
	if len(out) == 0 {
		out = append(out, &gatewayv1.SnapshotChunk{State: s.state[id]})
	}
	out[len(out)-1].Last = true
	return out
}

func (s *store) welcome() *gatewayv1.Welcome {
	return &gatewayv1.Welcome{
		Epoch: s.epoch, Lineage: s.lineage, TimeUs: 77,
		Parts: []*gatewayv1.PartState{s.state[configID], s.state[keysID]},
	}
}

func marshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func service(name string) cache.Ref { return cache.Ref{Kind: gatewayv1.Kind_KIND_SERVICE, ID: name} }
func key(name string) cache.Ref     { return cache.Ref{Kind: gatewayv1.Kind_KIND_KEY, ID: name} }

var settingsRef = cache.Ref{Kind: gatewayv1.Kind_KIND_SETTINGS}

func settingsValue() []byte { return marshal(&gatewayv1.Settings{Port: ":8080"}) }

func serviceValue(path string) []byte {
	return marshal(&gatewayv1.Service{
		RoutePattern: path, Urls: []string{"http://127.0.0.1:1"}, Middleware: []string{"auth_apikey", "rate_limit", "circuit_breaker", "metrics"},
		RateLimitRps: 100, RateLimitBurst: 200, CbFailureThreshold: 5, CbResetTimeoutMs: 10_000,
	})
}

func keyValue(secrets ...string) []byte {
	k := &gatewayv1.Key{}
	for _, s := range secrets {
		h := keys.HashOf(s)
		k.Secrets = append(k.Secrets, &gatewayv1.Secret{Sha256: h[:]})
	}
	return marshal(k)
}

// standard is a store with one service and one key.
func standard() *store {
	s := newStore("epoch-1")
	s.change(keysID, map[cache.Ref][]byte{key("alice"): keyValue("alice's")})
	s.change(configID, map[cache.Ref][]byte{settingsRef: settingsValue(), service("users"): serviceValue("/users")})
	return s
}

// dataplane is a client and what it feeds.
type dataplane struct {
	*Client
	t    testing.TB
	keys *keys.Table
	hold *snapshot.Holder
	dir  *cache.Dir
}

func newDataplane(tb testing.TB, dir *cache.Dir, options ...grpc.DialOption) *dataplane {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	d := &dataplane{t: tb, keys: keys.NewTable(), hold: new(snapshot.Holder), dir: dir}
	live, err := snapshot.NewLive(snapshot.Deps{Keys: d.keys, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	d.Client, err = New(Options{
		Addresses: []string{"passthrough:///one", "passthrough:///two"}, DialOptions: options,
		ID: "edge-1", Version: "test", Keys: d.keys, Live: live, Holder: d.hold, Cache: dir, Log: log,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// admits reports whether a secret is accepted.
func (d *dataplane) admits(secret string) bool {
	return d.keys.StillValid(keys.HashOf(secret), time.Now())
}

// serves returns the names of the services that serve.
func (d *dataplane) serves() []string {
	if s := d.hold.Load(); s != nil {
		return s.Names()
	}
	return nil
}

// server is a control plane in the hands of a test: each stream is handed over whole.
type server struct {
	gatewayv1.UnimplementedSyncServiceServer
	streams chan *peer
	refuse  chan error // the next stream ends with it
}

// peer is the control plane's end of a stream.
type peer struct {
	gatewayv1.SyncService_SyncServer
	t    testing.TB
	got  chan *gatewayv1.SyncRequest // closed at the end
	end  chan error
	gone chan struct{}

	reports []*gatewayv1.BreakerReport // passed over while something else was awaited
}

func (s *server) Sync(stream gatewayv1.SyncService_SyncServer) error {
	select {
	case err := <-s.refuse:
		return err
	default:
	}
	p := &peer{SyncService_SyncServer: stream, got: make(chan *gatewayv1.SyncRequest, 1000), end: make(chan error, 1), gone: make(chan struct{})}
	go func() {
		defer close(p.got)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			p.got <- m
		}
	}()
	defer close(p.gone)
	select {
	case s.streams <- p:
	case <-stream.Context().Done():
		return nil
	}
	select {
	case err := <-p.end:
		return err
	case <-stream.Context().Done():
		return nil
	}
}

// fleet is a bubble with a server and one data plane that runs.
type fleet struct {
	*server
	*dataplane
	t    *testing.T
	stop func()
}

// start runs a data plane inside the current bubble.
func start(t *testing.T, dir *cache.Dir) *fleet {
	t.Helper()
	ln := bufconn.Listen(1 << 16)
	f := &fleet{t: t, server: &server{streams: make(chan *peer), refuse: make(chan error, 10)}}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(maxReceive), grpc.MaxSendMsgSize(64<<20))
	gatewayv1.RegisterSyncServiceServer(g, f.server)
	go func() { _ = g.Serve(ln) }()
	f.dataplane = newDataplane(t, dir, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) }))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	f.stop = func() {
		cancel()
		<-done
		g.Stop()
		_ = ln.Close()
		f.opts.Live.Close()
		synctest.Wait()
	}
	return f
}

// next returns the next stream and its Hello.
func (f *fleet) next() (*peer, *gatewayv1.Hello) {
	f.t.Helper()
	select {
	case p := <-f.streams:
		p.t = f.t
		m := <-p.got
		if m.GetHello() == nil {
			f.t.Fatalf("first message = %v, want Hello", m)
		}
		return p, m.GetHello()
	case <-time.After(time.Minute):
		f.t.Fatal("no stream within a minute")
	}
	return nil, nil
}

// serve runs a bubble with a data plane on a cache folder; an empty dir is none.
func serve(t *testing.T, dir string, test func(f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var d *cache.Dir
		if dir != "" {
			var err error
			if d, err = cache.Open(dir); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = d.Close() }()
		}
		f := start(t, d)
		defer f.stop()
		test(f)
	})
}

func (p *peer) say(m any) {
	p.t.Helper()
	r := &gatewayv1.SyncResponse{}
	switch m := m.(type) {
	case *gatewayv1.Welcome:
		r.Message = &gatewayv1.SyncResponse_Welcome{Welcome: m}
	case *gatewayv1.SnapshotChunk:
		r.Message = &gatewayv1.SyncResponse_Snapshot{Snapshot: m}
	case []*gatewayv1.SnapshotChunk:
		for _, c := range m {
			p.say(c)
		}
		return
	case *gatewayv1.Record:
		r.Records = []*gatewayv1.Record{m}
	case []*gatewayv1.Record:
		r.Records = m
	case *gatewayv1.ControlPlaneHeartbeat:
		r.Message = &gatewayv1.SyncResponse_Heartbeat{Heartbeat: m}
	case *gatewayv1.Command:
		r.Message = &gatewayv1.SyncResponse_Command{Command: m}
	default:
		p.t.Fatalf("say(%T)", m)
	}
	if err := p.Send(r); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// bring brings a data plane to a store's state and waits for both answers.
func (p *peer) bring(s *store) {
	p.t.Helper()
	p.say(s.welcome())
	for _, id := range []gatewayv1.Part{keysID, configID} {
		p.say(s.chunks(id, 1))
		p.applied(id, s.state[id].GetRevision())
	}
}

// await returns the next message that pick takes; the others are passed over.
func await[T any](p *peer, what string, pick func(*gatewayv1.SyncRequest) (T, bool)) T {
	p.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case m, ok := <-p.got:
			if !ok {
				p.t.Fatalf("stream ended before %s", what)
			}
			if v, ok := pick(m); ok {
				return v
			}
			if r := m.GetBreakers(); r != nil {
				p.reports = append(p.reports, r)
			}
		case <-timeout:
			p.t.Fatalf("no %s within 30 s", what)
		}
	}
}

// applied waits for the part's next answer, which must be Applied of a revision.
func (p *peer) applied(id gatewayv1.Part, revision uint64) *gatewayv1.Applied {
	p.t.Helper()
	return await(p, fmt.Sprintf("Applied of %v", id), func(m *gatewayv1.SyncRequest) (*gatewayv1.Applied, bool) {
		if r := m.GetRejected(); r != nil {
			p.t.Fatalf("got %v, want Applied of %v", r, id)
		}
		a := m.GetApplied()
		if a == nil || a.GetPart() != id {
			return nil, false
		}
		if a.GetRevision() != revision {
			p.t.Fatalf("Applied %v, want revision %d", a, revision)
		}
		return a, true
	})
}

func (p *peer) rejected(id gatewayv1.Part) *gatewayv1.Rejected {
	p.t.Helper()
	return await(p, fmt.Sprintf("Rejected of %v", id), func(m *gatewayv1.SyncRequest) (*gatewayv1.Rejected, bool) {
		if a := m.GetApplied(); a.GetPart() == id {
			p.t.Fatalf("got %v, want Rejected of %v", a, id)
		}
		r := m.GetRejected()
		return r, r.GetPart() == id && r != nil
	})
}

func (p *peer) heartbeat() *gatewayv1.DataPlaneHeartbeat {
	p.t.Helper()
	return await(p, "heartbeat", func(m *gatewayv1.SyncRequest) (*gatewayv1.DataPlaneHeartbeat, bool) {
		return m.GetHeartbeat(), m.GetHeartbeat() != nil
	})
}

// drifted waits for a heartbeat that says so.
func (p *peer) drifted() {
	p.t.Helper()
	await(p, "heartbeat with drifted", func(m *gatewayv1.SyncRequest) (bool, bool) {
		return true, m.GetHeartbeat().GetDrifted()
	})
}
