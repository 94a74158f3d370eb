package ratelimit

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/limiter"
)

func TestDecisionsAreLogged(t *testing.T) {
	rate, err := limiter.NewRate(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	mw, err := New(Config{Service: "users"}, Deps{
		Buckets: limiter.NewTable(rate, limiter.NewBudget(10)),
		Limited: prometheus.NewCounter(prometheus.CounterOpts{Name: "limited"}),
		Now:     func() int64 { return 0 },
		Log:     slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := mw(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, want := range []string{
		`msg="rate_limit passed" service=users remaining=0 `,
		`msg="rate_limit refused" service=users retry_after=1`,
	} {
		log.Reset()
		x := exchange.New(t.Context())
		x.RequestID, x.ClientIP = "r-7", netip.MustParseAddr("192.0.2.1")
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(x))
		if got := log.String(); !strings.Contains(got, want) || !strings.Contains(got, " request_id=r-7\n") || strings.Count(got, "\n") != 1 {
			t.Errorf("log = %q, want one line of r-7 with %q", got, want)
		}
	}
}
