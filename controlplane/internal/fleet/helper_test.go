package fleet

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt/bolttest"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	configPart = gatewayv1.Part_PART_CONFIG
	keysPart   = gatewayv1.Part_PART_KEYS
	epoch      = "epoch-1"
)

// stream is a Session in the hands of a test.
type stream struct {
	mu       sync.Mutex
	commands chan *gatewayv1.Command
	cuts     []string
}

func newStream() *stream { return &stream{commands: make(chan *gatewayv1.Command, 2)} }

func (s *stream) Command(cmd *gatewayv1.Command) bool {
	select {
	case s.commands <- cmd:
		return true
	default:
		return false
	}
}

func (s *stream) Cut(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts = append(s.cuts, reason)
}

// bench is a fleet on a real store, whose clock stands still until it is moved.
type bench struct {
	*Fleet
	t     *testing.T
	store *broken
	mu    sync.Mutex
	at    time.Time
}

// broken is a store whose notes can be made to fail.
type broken struct {
	store.Store
	mu  sync.Mutex
	err error
}

func (b *broken) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *broken) Note(ctx context.Context, notes ...store.Note) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Store.Note(ctx, notes...)
}

var errDisk = errors.New("disk on fire")

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, store: &broken{Store: bolttest.Open(t)}, at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	b.restart()
	return b
}

// restart begins with what the store remembers.
func (b *bench) restart() {
	b.t.Helper()
	f, err := New(b.t.Context(), b.store, slog.New(slog.DiscardHandler), b.clock)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Fleet = f
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

// plane is a connected data plane.
type plane struct {
	*Member
	*stream
	bench *bench
}

// connect joins a data plane of the store's epoch; changes edit what it says.
func (b *bench) connect(id string, changes ...func(*Arrival)) *plane {
	b.t.Helper()
	s := newStream()
	a := Arrival{Hello: &gatewayv1.Hello{Id: id, Instance: "instance-" + id, Epoch: epoch}, Epoch: epoch, Session: s}
	for _, change := range changes {
		change(&a)
	}
	m, err := b.Join(a)
	if err != nil {
		b.t.Fatal(err)
	}
	return &plane{m, s, b}
}

func (p *plane) applied(part gatewayv1.Part, revision uint64) {
	p.Applied(p.stream, &gatewayv1.Applied{Part: part, Revision: revision}, gatewayv1.Digest{})
}

func (p *plane) leave() { p.bench.Leave(p.Member, p.stream) }

// has makes a data plane say that it has a part.
func has(part gatewayv1.Part, revision uint64) func(*Arrival) {
	return func(a *Arrival) {
		a.Hello.Parts = append(a.Hello.Parts, &gatewayv1.PartState{Part: part, Revision: revision})
	}
}

// unusable makes a data plane say that a key admits nobody.
func unusable(id, reason string) func(*Arrival) {
	return func(a *Arrival) {
		a.Hello.Unusable = append(a.Hello.Unusable, &gatewayv1.UnusableEntry{Id: id, Reason: reason})
	}
}

func foreign(reason string) func(*Arrival) {
	return func(a *Arrival) { a.Foreign, a.Hello.Epoch = reason, "elsewhere" }
}
