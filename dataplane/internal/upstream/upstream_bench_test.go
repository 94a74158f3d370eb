package upstream

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
)

// instant is an engine that answers at once.
type instant struct{}

func (instant) Attempt(_ http.ResponseWriter, _ *http.Request, a *Attempt) Outcome {
	a.Answered(http.StatusOK)
	return Outcome{}
}

func benchHandler(b *testing.B, e Engine, urls ...string) http.Handler {
	b.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	c := NewCluster("users", Deps{Engine: e, Metrics: metrics, Tunnels: &Tunnels{}, Log: slog.New(slog.DiscardHandler)})
	h, err := c.Handler(Settings{URLs: urls, FailureThreshold: 5, ResetTimeout: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// BenchmarkLoop is what balancing, watch and settling cost above an attempt, with one exchange per request.
func BenchmarkLoop(b *testing.B) {
	h := benchHandler(b, instant{}, "http://a", "http://b")
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/users/42", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r.WithContext(exchange.New(b.Context())))
	}
}

// BenchmarkTransport is a whole request over loopback and HTTP/2, the backend's work included.
func BenchmarkTransport(b *testing.B) {
	backend := backend(b, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Hello from the backend-1 running on port 8081\n")
	})
	engine := NewTransport(TransportSettings{})
	defer engine.Close()
	h := benchHandler(b, engine, urls(engine, []string{backend.URL})...)
	r := httptest.NewRequest(http.MethodGet, "/users/42", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(exchange.New(b.Context())))
	}
}
