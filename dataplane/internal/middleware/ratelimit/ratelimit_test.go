package ratelimit

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/limiter"
)

// fixture is a limited handler whose clock stands still unless a test moves it.
type fixture struct {
	handler http.Handler
	now     int64
	metrics *Metrics
	passed  int
}

func newFixture(tb testing.TB, perSecond float64, burst int) *fixture {
	tb.Helper()
	rate, err := limiter.NewRate(perSecond, burst)
	if err != nil {
		tb.Fatal(err)
	}
	f := &fixture{now: int64(time.Hour)}
	if f.metrics, err = NewMetrics(prometheus.NewPedanticRegistry()); err != nil {
		tb.Fatal(err)
	}
	mw, err := New(Config{Service: "users"}, Deps{
		Buckets: limiter.NewTable(rate, limiter.NewBudget(1000)),
		Limited: f.metrics.Service("users"),
		Now:     func() int64 { return f.now },
	})
	if err != nil {
		tb.Fatal(err)
	}
	f.handler = mw(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { f.passed++ }))
	return f
}

func (f *fixture) ask(t *testing.T, key, ip string) *httptest.ResponseRecorder {
	t.Helper()
	x := exchange.New(t.Context())
	if key != "" {
		x.Key = &keys.Identity{Name: key}
	}
	x.ClientIP = netip.MustParseAddr(ip)
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(x)
	r.Header.Set("X-Api-Key", "unverified") // must never matter
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if (w.Code == 429) != (x.Refusal == "rate_limited") {
		t.Errorf("status %d with refusal %q", w.Code, x.Refusal)
	}
	return w
}

func TestClients(t *testing.T) {
	type client struct{ key, ip string }
	tests := []struct {
		name          string
		first, second client
		same          bool
	}{
		{"same key", client{"alice", "192.0.2.1"}, client{"alice", "192.0.2.2"}, true},
		{"other key", client{"alice", "192.0.2.1"}, client{"bob", "192.0.2.1"}, false},
		{"key and address", client{"alice", "192.0.2.1"}, client{"", "192.0.2.1"}, false},
		{"same address", client{"", "192.0.2.1"}, client{"", "192.0.2.1"}, true},
		{"other address", client{"", "192.0.2.1"}, client{"", "192.0.2.2"}, false},
		{"same /64", client{"", "2001:db8::1"}, client{"", "2001:db8::ffff:2"}, true},
		{"other /64", client{"", "2001:db8::1"}, client{"", "2001:db8:0:1::1"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, 1, 1)
			if w := f.ask(t, tt.first.key, tt.first.ip); w.Code != 200 {
				t.Fatalf("first request = %d, want 200", w.Code)
			}
			if w := f.ask(t, tt.second.key, tt.second.ip); (w.Code == 429) != tt.same {
				t.Errorf("second request = %d, want limited: %v", w.Code, tt.same)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	tests := []struct {
		name      string
		perSecond float64
		burst     int
		want      http.Header
	}{
		{"fast", 100, 200, http.Header{
			"Retry-After": {"1"}, "Ratelimit-Policy": {`"default";q=200;w=2`}, "Ratelimit": {`"default";r=0;t=2`},
		}},
		{"slow", 0.3, 2, http.Header{
			"Retry-After": {"4"}, "Ratelimit-Policy": {`"default";q=2;w=7`}, "Ratelimit": {`"default";r=0;t=7`},
		}},
		{"steeper than a second", 1000, 10, http.Header{
			"Retry-After": {"1"}, "Ratelimit-Policy": {`"default";q=10;w=1`}, "Ratelimit": {`"default";r=0;t=1`},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.perSecond, tt.burst)
			for range tt.burst {
				f.ask(t, "alice", "192.0.2.1")
			}
			if f.passed != tt.burst {
				t.Errorf("passed = %d of a burst of %d", f.passed, tt.burst)
			}
			w := f.ask(t, "alice", "192.0.2.1")
			for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control"} {
				w.Header().Del(name)
			}
			if diff := cmp.Diff(tt.want, w.Header()); w.Code != 429 || diff != "" {
				t.Errorf("answer = %d, headers (-want +got):\n%s", w.Code, diff)
			}
			if got := testutil.ToFloat64(f.metrics.Service("users")); got != 1 {
				t.Errorf("gateway_rate_limited_total = %v, want 1", got)
			}
			f.now += int64(4 * time.Second)
			if w := f.ask(t, "alice", "192.0.2.1"); w.Code != 200 {
				t.Errorf("after Retry-After: %d, want 200", w.Code)
			}
		})
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, 1<<63 - 1: 9223372037,
	} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	m, err := NewMetrics(prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	m.Service("users")
	m.Service("gone")
	m.Forget("gone")
	if got := testutil.CollectAndCount(m.limited, "gateway_rate_limited_total"); got != 1 {
		t.Errorf("series = %d, want that of users, at zero", got)
	}
}

func TestNewWithoutBuckets(t *testing.T) {
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("New without buckets: no error")
	}
}
