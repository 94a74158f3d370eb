package upstream

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway serves one cluster over net/http as the data plane does: an exchange per request, and a writer that notes the status.
type gateway struct {
	*httptest.Server
	cluster *Cluster
	tunnels *Tunnels
	metrics *Metrics
	ended   chan *exchange.Exchange // one per request, when its handler has returned or panicked

	mu       sync.Mutex
	identity *keys.Identity // of the requests to come
}

// statusWriter is the engine's writer.
type statusWriter struct {
	http.ResponseWriter
	x *exchange.Exchange
}

func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 {
		w.x.Status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// ReadFrom lets the server's writer splice.
func (w *statusWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// closer is an engine that can be closed.
type closer interface {
	Engine
	Close()
}

// engines are those that must behave alike. Backends speak both protocols: see urls.
var engines = map[string]func() closer{
	"transport": newTransport,
	"client":    newClient,
}

func newTransport() closer { return NewTransport(TransportSettings{}) }

// newClient is for tests whose backends are scripted byte by byte, or switch protocols.
func newClient() closer { return NewClient(TransportSettings{}) }

// urls are those of backends for an engine: h2c for Transport.
func urls(e Engine, http []string) []string {
	if _, ok := e.(*Transport); !ok {
		return http
	}
	h2c := make([]string, len(http))
	for i, url := range http {
		h2c[i] = strings.Replace(url, "http://", "h2c://", 1)
	}
	return h2c
}

func newGateway(t *testing.T, over func() closer, s Settings) *gateway {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{tunnels: &Tunnels{}, metrics: metrics, ended: make(chan *exchange.Exchange, 100)}
	engine := over()
	s.URLs = urls(engine, s.URLs)
	g.cluster = NewCluster("users", Deps{Engine: engine, Metrics: metrics, Tunnels: g.tunnels, Log: slog.New(slog.DiscardHandler)})
	if s.FailureThreshold == 0 {
		s.FailureThreshold, s.ResetTimeout = 5, time.Hour
	}
	h, err := g.cluster.Handler(s)
	if err != nil {
		t.Fatal(err)
	}
	g.cluster.Update(s)
	g.Server = httptest.NewUnstartedServer(g.top(h))
	g.Config.Protocols = new(http.Protocols)
	g.Config.Protocols.SetHTTP1(true)
	g.Config.Protocols.SetUnencryptedHTTP2(true)
	g.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	g.Start()
	t.Cleanup(func() {
		g.Close()
		engine.Close()
	})
	return g
}

func (g *gateway) top(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.New(r.Context())
		x.Start, x.Scheme, x.RequestID = time.Now(), "http", "request-1"
		g.mu.Lock()
		if g.identity != nil {
			x.Key, x.KeyHash = g.identity, keys.HashOf(g.identity.Name)
		}
		g.mu.Unlock()
		defer func() { g.ended <- x }()
		h.ServeHTTP(&statusWriter{w, x}, r.WithContext(x)) //nolint:contextcheck // the exchange is the request's context
		rc := http.NewResponseController(w)                // net/http reads what is left of a body for as long as it takes; our servers do not
		_ = rc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := r.Body.Read(nil); errors.Is(err, io.EOF) {
			_ = rc.SetReadDeadline(time.Time{})
		}
	})
}

// exchange returns the exchange of a request that ends within reason.
func (g *gateway) exchange(t *testing.T) *exchange.Exchange {
	t.Helper()
	select {
	case x := <-g.ended:
		return x
	case <-time.After(10 * time.Second):
		t.Fatal("the handler did not return")
		return nil
	}
}

func (g *gateway) counters() (canceled, bodyErrors float64) {
	return testutil.ToFloat64(g.cluster.series.canceled), testutil.ToFloat64(g.cluster.series.bodyErrors)
}

// get sends a GET and returns status and body.
func (g *gateway) get(t *testing.T) (status int, body string) {
	t.Helper()
	resp, err := g.Client().Get(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// send writes bytes to the gateway on a connection of its own and returns the reader of what it answers.
func (g *gateway) send(t *testing.T, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", g.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// backend starts a backend.
func backend(tb testing.TB, h http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	tb.Cleanup(s.Close)
	return s
}

// named is a backend that answers with its name.
func named(t *testing.T, name string) *httptest.Server {
	t.Helper()
	return backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

// rawBackend answers the first request of every connection with those bytes, then closes the connection.
func rawBackend(t *testing.T, answer string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, answer)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// deadURL refuses connections.
func deadURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}
