package circuitbreaker

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
)

var errRefused = errors.New("connection refused")

// settle is a last handler that settles with o.
func settle(o exchange.Outcome) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) { exchange.From(r.Context()).Settle(o) }
}

// serve sends one request through a guard of b and returns the answer.
func serve(t *testing.T, b *breaker.Breaker, last http.HandlerFunc) (w *httptest.ResponseRecorder, panicked any) {
	t.Helper()
	mw, err := New(Config{Service: "users"}, Deps{Breaker: b})
	if err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	defer func() { panicked = recover() }()
	mw(last).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(exchange.New(t.Context())))
	return w, nil
}

func TestResults(t *testing.T) {
	tests := []struct {
		name     string
		last     http.HandlerFunc
		failures int
		cause    string
	}{
		{"success", settle(exchange.Outcome{}), 0, "before"},
		{"upstream", settle(exchange.Outcome{Failed: exchange.Upstream, Err: errRefused}), 2, "connection refused"},
		{"upstream without error", settle(exchange.Outcome{Failed: exchange.Upstream, Reason: "upstream_error"}), 2, "upstream_error"},
		{"client", settle(exchange.Outcome{Failed: exchange.Client}), 1, "before"},
		{"gateway", settle(exchange.Outcome{Failed: exchange.Gateway}), 1, "before"},
		{"never settled", func(http.ResponseWriter, *http.Request) {}, 1, "before"},
		{"panic", func(http.ResponseWriter, *http.Request) { panic("own middleware") }, 1, "before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := breaker.New(breaker.Settings{FailureThreshold: 5, ResetTimeout: time.Minute}, nil)
			serve(t, b, settle(exchange.Outcome{Failed: exchange.Upstream, Err: errors.New("before")}))
			_, panicked := serve(t, b, tt.last)
			if (panicked != nil) != (tt.name == "panic") {
				t.Errorf("panic = %v, want it passed on", panicked)
			}
			got := b.Status()
			if got.ConsecutiveFailures != tt.failures || got.LastError != tt.cause {
				t.Errorf("failures = %d (%q), want %d (%q)", got.ConsecutiveFailures, got.LastError, tt.failures, tt.cause)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Settings{FailureThreshold: 1, ResetTimeout: 9500 * time.Millisecond}, nil)
		serve(t, b, settle(exchange.Outcome{Failed: exchange.Upstream}))
		w, _ := serve(t, b, func(http.ResponseWriter, *http.Request) { t.Error("an open breaker let a request pass") })
		want := http.Header{
			"Retry-After": {"10"}, "Cache-Control": {"no-store"}, "Content-Length": {"20"},
			"Content-Type": {"text/plain; charset=utf-8"},
		}
		if diff := cmp.Diff(want, w.Header()); w.Code != 503 || diff != "" {
			t.Errorf("answer = %d, headers (-want +got):\n%s", w.Code, diff)
		}
	})
}

// TestProbeSettlesAtTheHead: a stream or tunnel that is a probe must not keep the breaker half-open until it ends.
func TestProbeSettlesAtTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Settings{FailureThreshold: 1, ResetTimeout: time.Second}, nil)
		serve(t, b, settle(exchange.Outcome{Failed: exchange.Upstream}))
		time.Sleep(time.Second) // the bubble's clock
		serve(t, b, func(_ http.ResponseWriter, r *http.Request) {
			if got := b.Status().State; got != breaker.HalfOpen {
				t.Errorf("state before the head = %v, want half-open", got)
			}
			x := exchange.From(r.Context())
			x.Tunnel = true
			x.Settle(exchange.Outcome{})
			if got := b.Status().State; got != breaker.Closed {
				t.Errorf("state after the head = %v, want closed", got)
			}
		})
	})
}

// TestIgnoredProbeFreesItsPlace: a probe whose client left decides nothing, and the next request is the next probe.
func TestIgnoredProbeFreesItsPlace(t *testing.T) {
	b := breaker.New(breaker.Settings{FailureThreshold: 1}, nil)
	serve(t, b, settle(exchange.Outcome{Failed: exchange.Upstream}))
	serve(t, b, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	serve(t, b, settle(exchange.Outcome{}))
	if got := b.Status().State; got != breaker.Closed {
		t.Errorf("state = %v, want closed by the second probe", got)
	}
}

func TestMetrics(t *testing.T) {
	m, err := NewMetrics(prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	b := breaker.New(breaker.Settings{FailureThreshold: 1, ResetTimeout: time.Minute}, nil)
	m.Watch("users", b)
	m.Watch("gone", breaker.New(breaker.Settings{}, nil))
	m.Forget("gone")
	const head = "# HELP gateway_circuit_breaker_state State of the service's circuit breaker: 0 closed, 1 open, 2 half-open.\n" +
		"# TYPE gateway_circuit_breaker_state gauge\n"
	for _, want := range []string{"0", "1"} {
		text := head + `gateway_circuit_breaker_state{service="users"} ` + want + "\n"
		if err := testutil.CollectAndCompare(m, strings.NewReader(text)); err != nil {
			t.Error(err)
		}
		serve(t, b, settle(exchange.Outcome{Failed: exchange.Upstream}))
	}
}

func TestNewWithoutBreaker(t *testing.T) {
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("New without a breaker: no error")
	}
}
