package circuitbreaker

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
)

// BenchmarkServeHTTP includes one exchange per request: 1 of the allocations.
func BenchmarkServeHTTP(b *testing.B) {
	for _, state := range []string{"closed", "open"} {
		b.Run("state="+state, func(b *testing.B) {
			br := breaker.New(breaker.Settings{FailureThreshold: 1, ResetTimeout: time.Hour}, nil)
			if state == "open" {
				permit, _ := br.Allow(time.Now())
				permit.Done(breaker.Failure, nil, time.Now())
			}
			mw, err := New(Config{Service: "users"}, Deps{Breaker: br})
			if err != nil {
				b.Fatal(err)
			}
			h := mw(settle(exchange.Outcome{}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			w := &nobody{header: http.Header{}}
			ctx := &swap{}
			r = r.WithContext(ctx)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Context = exchange.New(b.Context())
				h.ServeHTTP(w, r)
			}
		})
	}
}

// swap lets one request have another exchange each time.
type swap struct{ context.Context }

// nobody throws answers away.
type nobody struct{ header http.Header }

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) Write(p []byte) (int, error) { return len(p), nil }
func (n *nobody) WriteHeader(int)             {}
