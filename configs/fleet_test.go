package configs

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"apigateway/proto/mtls"
)

// fleet is the control plane, the data planes and the backends of one test. Whatever it starts is ended and waited for at the end of the
// test. Its methods fail the test; they are for the test's own goroutine.
type fleet struct {
	t       *testing.T
	dir     string     // of the store, the caches and the configuration file
	config  string     // path of the configuration file
	store   string     // path of the store
	grpc    string     // address of the control plane
	http    string     // of its health and metrics
	spawn   bool       // planes are processes of their own
	tls     mtls.Files // of the plane that is started next; none: plaintext
	level   slog.Level
	client  *http.Client
	conn    *grpc.ClientConn
	reload  chan struct{} // has a control plane of this process read its file now
	started []*plane
}

// newFleet returns a fleet in this process.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	dir := t.TempDir()
	f := &fleet{
		t: t, dir: dir, config: filepath.Join(dir, "gateway.yaml"), store: filepath.Join(dir, "store", "controlplane.db"),
		grpc: freeAddress(t), http: freeAddress(t), level: slog.LevelInfo, reload: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{}, Timeout: patience},
	}
	var err error
	f.conn, err = grpc.NewClient(f.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.conn.Close()
		f.client.CloseIdleConnections()
	})
	return f
}

// newProcesses returns a fleet whose planes are the built programs.
func newProcesses(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t)
	f.spawn = true
	if _, err := programs(); err != nil {
		t.Fatal(err)
	}
	return f
}

// write replaces the configuration file at once, as editors do.
func (f *fleet) write(content string) {
	f.t.Helper()
	next := f.config + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(next, f.config); err != nil {
		f.t.Fatal(err)
	}
}

// apply writes content and returns when every connected data plane serves it.
func (f *fleet) apply(content string) {
	f.t.Helper()
	before := f.status()
	f.write(content)
	if !f.spawn {
		f.reload <- struct{}{}
	}
	now := before
	f.awaitOr("the file to be taken up", func() bool {
		now = f.status()
		return len(now.GetMistakes()) == 0 && now.GetAppliedAtMs() > before.GetAppliedAtMs()
	}, func() string { return now.String() })
	f.awaitServing()
}

const (
	// patience bounds every wait; only a broken gateway needs that long.
	patience = 30 * time.Second
	// look is the pause between two looks at what a test waits for.
	look = 5 * time.Millisecond
)

// await returns once condition holds.
func (f *fleet) await(what string, condition func() bool) {
	f.t.Helper()
	f.awaitOr(what, condition, func() string { return "" })
}

// awaitOr is await; if it was in vain, why says what there was instead.
func (f *fleet) awaitOr(what string, condition func() bool, why func() string) {
	f.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited %v for %s %s", patience, what, why())
		}
		<-tick.C
	}
}

var ports struct {
	sync.Mutex
	next int
}

// freeAddress returns an address of the loopback that nobody else gets. Its port is below those that the system gives to connections:
// it stays free while whoever listens on it is away.
func freeAddress(t *testing.T) string {
	t.Helper()
	const first, last = 12_000, 30_000
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = first + os.Getpid()*97%(last-first)
	}
	for range last - first {
		if ports.next++; ports.next >= last {
			ports.next = first
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports.next))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// logged is what a plane wrote. It is safe for concurrent use.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tail returns the last lines.
func (l *logged) tail() string {
	lines := strings.Split(l.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}
