package metrics

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
)

// BenchmarkServeHTTP includes one exchange per request: the only allocation.
func BenchmarkServeHTTP(b *testing.B) {
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	mw, err := New(Config{Service: "users"}, Deps{m})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	h := mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { exchange.From(r.Context()).Status = 200 }))
	b.ReportAllocs()
	for b.Loop() {
		x := exchange.New(b.Context())
		x.Start = time.Now()
		h.ServeHTTP(nil, r.WithContext(x))
	}
}

func BenchmarkCount(b *testing.B) {
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	s := m.service("users")
	for _, status := range []int{200, 201, 204, 304, 404, 429, 500, 503} {
		s.count(0, status)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.count(methodOf(http.MethodGet), 200)
	}
}
