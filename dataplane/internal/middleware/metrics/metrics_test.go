package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
)

// gather returns the series of http_request_counter as "METHOD STATUS" → value, and the timer's number of observations.
func gather(t *testing.T, reg *prometheus.Registry, service string) (counts map[string]float64, timed uint64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts = map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			l := map[string]string{}
			for _, pair := range m.GetLabel() {
				l[pair.GetName()] = pair.GetValue()
			}
			switch {
			case l["service"] != service:
			case m.GetHistogram() != nil:
				timed += m.GetHistogram().GetSampleCount()
			default:
				counts[l["method"]+" "+l["status"]] = m.GetCounter().GetValue()
			}
		}
	}
	return counts, timed
}

func TestServeHTTP(t *testing.T) {
	// The engine's writer sets the status; here the handler does.
	answer := func(status int) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) { exchange.From(r.Context()).Status = status }
	}
	tests := []struct {
		name    string
		method  string
		last    http.HandlerFunc
		want    string
		panicks bool
	}{
		{"ok", "GET", answer(200), "GET 200", false},
		{"created", "POST", answer(201), "POST 201", false},
		{"tunnel", "GET", answer(101), "GET 101", false},
		{"strange method", "BREW", answer(418), "other 418", false},
		{"lower case", "get", answer(200), "other 200", false},
		{"last status", "DELETE", answer(599), "DELETE 599", false},
		{"beyond", "GET", answer(600), "GET 500", false},
		{"nothing written", "GET", answer(0), "GET 200", false},
		{"client gone", "GET", func(_ http.ResponseWriter, r *http.Request) {
			exchange.From(r.Context()).Settle(exchange.Outcome{Failed: exchange.Client})
			panic(http.ErrAbortHandler)
		}, "GET 499", true},
		{"panic", "PUT", func(http.ResponseWriter, *http.Request) { panic("own middleware") }, "PUT 500", true},
		{"panic after the head", "GET", func(_ http.ResponseWriter, r *http.Request) {
			exchange.From(r.Context()).Status = 206
			panic(http.ErrAbortHandler)
		}, "GET 206", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reg := prometheus.NewPedanticRegistry()
			x, panicked := serve(t, reg, tt.method, tt.last)
			if panicked != tt.panicks || x == nil {
				t.Errorf("panicked = %v, want %v", panicked, tt.panicks)
			}
			counts, timed := gather(t, reg, "users")
			want := map[string]float64{"GET 200": 0}
			want[tt.want] = 1
			if diff := cmp.Diff(want, counts); diff != "" || timed != 1 {
				t.Errorf("timed %d (want 1), counters (-want +got):\n%s", timed, diff)
			}
		})
	}
}

func serve(t *testing.T, reg *prometheus.Registry, method string, last http.HandlerFunc) (x *exchange.Exchange, panicked bool) {
	t.Helper()
	m, err := NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	mw, err := New(Config{Service: "users"}, Deps{m})
	if err != nil {
		t.Fatal(err)
	}
	x = exchange.New(t.Context())
	x.Start = time.Now()
	defer func() { panicked = recover() != nil }()
	mw(last).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil).WithContext(x))
	return x, false
}

func TestTunnelIsTimedAtItsHead(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	serve(t, reg, "GET", func(_ http.ResponseWriter, r *http.Request) {
		x := exchange.From(r.Context())
		x.Tunnel, x.Status = true, 101
		x.Settle(exchange.Outcome{})
		if _, timed := gather(t, reg, "users"); timed != 1 {
			t.Errorf("observations at the head = %d, want 1", timed)
		}
	})
	if counts, timed := gather(t, reg, "users"); timed != 1 || counts["GET 101"] != 1 {
		t.Errorf("after the tunnel: timed %d, counted %v; want both once", timed, counts)
	}
}

func TestForget(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	s := m.service("users")
	m.service("orders")
	if again := m.service("users"); again != s {
		t.Error("a rebuilt service got other series, want the same")
	}
	m.Forget("users")
	s.count(methodOf("GET"), 200) // requests that were still under way
	s.count(methodOf("GET"), 404)
	if counts, _ := gather(t, reg, "users"); len(counts) != 0 {
		t.Errorf("series after Forget = %v, want none", counts)
	}
	if counts, _ := gather(t, reg, "orders"); len(counts) != 1 {
		t.Errorf("series of another service = %v, want its zero", counts)
	}
	m.service("users")
	if counts, _ := gather(t, reg, "users"); counts["GET 200"] != 0 || len(counts) != 1 {
		t.Errorf("series of a service that came back = %v, want zero", counts)
	}
}

func TestNamesAreTheFixedOnes(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	m.service("users")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if got, want := strings.Join(names, " "), "http_request_counter http_request_timer"; got != want {
		t.Errorf("metrics = %s, want %s", got, want)
	}
}

func TestNewWithoutMetrics(t *testing.T) {
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("New without metrics: no error")
	}
}
