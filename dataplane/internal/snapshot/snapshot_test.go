package snapshot

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/limiter"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func encode(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// users is a service that can be served, as edit leaves it.
func users(edit func(*gatewayv1.Service)) []byte {
	s := &gatewayv1.Service{
		RoutePattern: "/users", Urls: []string{"http://127.0.0.1:1"},
		Middleware:   []string{"auth_apikey", "rate_limit", "circuit_breaker", "metrics"},
		RateLimitRps: 100, RateLimitBurst: 200, CbFailureThreshold: 5, CbResetTimeoutMs: 10_000,
	}
	if edit != nil {
		edit(s)
	}
	return encode(s)
}

func settings(edit func(*gatewayv1.Settings)) []byte {
	s := &gatewayv1.Settings{Port: ":8080"}
	if edit != nil {
		edit(s)
	}
	return encode(s)
}

// stateOf is a configuration with its digest.
func stateOf(settings []byte, services map[string][]byte) State {
	s := State{Revision: 7, Settings: settings, Services: services}
	s.Digest = gatewayv1.EntryDigest(gatewayv1.Kind_KIND_SETTINGS, "", settings)
	for name, raw := range services {
		s.Digest = s.Digest.Add(gatewayv1.EntryDigest(gatewayv1.Kind_KIND_SERVICE, name, raw))
	}
	return s
}

type fixture struct {
	live *Live
	hold Holder
	reg  *prometheus.Registry
}

func newFixture(tb testing.TB, custom map[string]Factory) *fixture {
	tb.Helper()
	f := &fixture{reg: prometheus.NewRegistry()}
	var err error
	f.live, err = NewLive(Deps{Keys: keys.NewTable(), Meters: f.reg, Custom: custom, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(f.live.Close)
	return f
}

// publish builds and serves a configuration.
func (f *fixture) publish(tb testing.TB, s State) *Snapshot {
	tb.Helper()
	next, why := Build(s, f.live)
	if why != nil {
		tb.Fatal(why)
	}
	f.hold.Publish(next, f.live)
	return next
}

// series returns the services that have series of a metric.
func (f *fixture) series(tb testing.TB, metric string) []string {
	tb.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	var services []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if family.GetName() == metric && l.GetName() == "service" && l.GetValue() != "" {
					services = append(services, l.GetValue())
				}
			}
		}
	}
	slices.Sort(services)
	return slices.Compact(services)
}

func TestBuild(t *testing.T) {
	f := newFixture(t, nil)
	if f.hold.Load() != nil {
		t.Fatal("holds a snapshot before the first")
	}
	s := stateOf(settings(func(s *gatewayv1.Settings) { s.TrustedProxies = []string{"10.0.0.0/8"} }), map[string][]byte{"users": users(nil)})
	next := f.publish(t, s)
	if f.hold.Load() != next {
		t.Error("Load is not what was published")
	}
	m, ok := next.Routes.Match("GET", "", "/users/42")
	if !ok || m.Route.Value.Name != "users" || m.Route.Value != next.Service("users") {
		t.Errorf("Match = %v, %v, want users", m, ok)
	}
	if got := next.Recompute(); got != s.Digest {
		t.Errorf("Recompute = %v, want %v", got, s.Digest)
	}
	if next.Revision != 7 || next.Settings.GetPort() != ":8080" || len(next.TrustedProxies) != 1 {
		t.Errorf("Snapshot = %+v", next)
	}
	svc := next.Service("users")
	if svc.Custom || svc.Refused == nil || svc.Config.GetRateLimitBurst() != 200 {
		t.Errorf("Service = %+v", svc)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/users", nil)
	svc.Handler.ServeHTTP(w, r.WithContext(exchange.New(r.Context())))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without a key: %d, want 401", w.Code)
	}
	for _, metric := range []string{"http_request_counter", "gateway_rate_limited_total", "gateway_circuit_breaker_state", "gateway_refused_total", "gateway_proxy_canceled_total"} {
		if got := f.series(t, metric); !cmp.Equal(got, []string{"users"}) {
			t.Errorf("series of %s for %q, want users from the start", metric, got)
		}
	}
}

func TestRejections(t *testing.T) {
	unknown := func(b []byte) []byte {
		return protowire.AppendVarint(protowire.AppendTag(slices.Clone(b), 99, protowire.VarintType), 1)
	}
	nested := settings(func(s *gatewayv1.Settings) {
		s.Transport = &gatewayv1.Transport{}
		s.Transport.ProtoReflect().SetUnknown(unknown(nil))
	})
	good := settings(nil)
	one := func(edit func(*gatewayv1.Service)) State {
		return stateOf(good, map[string][]byte{"users": users(edit)})
	}
	with := func(edit func(*gatewayv1.Settings)) State {
		return stateOf(settings(edit), map[string][]byte{"users": users(nil)})
	}
	many := map[string][]byte{}
	for i := range gatewayv1.MaxServices + 1 {
		many[strconv.Itoa(i)] = nil
	}
	foreign := one(nil)
	foreign.Foreign = []string{"alice"}
	tests := []struct {
		name   string
		state  State
		entry  string
		reason string
	}{
		{"empty", State{}, "", "no services"},
		{"no services", stateOf(good, nil), "", "no services"},
		{"too many services", stateOf(good, many), "", "too many services, got 100001 (want at most 100000)"},
		{"foreign entry", foreign, "", `entry "alice"`},
		{"no settings", stateOf(nil, map[string][]byte{"users": users(nil)}), "", "settings: none"},
		{"settings garbage", stateOf([]byte{0xff}, map[string][]byte{"users": users(nil)}), "", "settings: "},
		{"settings unknown", stateOf(unknown(good), map[string][]byte{"users": users(nil)}), "", "settings: unknown fields 99"},
		{"settings nested unknown", stateOf(nested, map[string][]byte{"users": users(nil)}), "", "settings: unknown fields transport.99"},
		{"port", with(func(s *gatewayv1.Settings) { s.Port = "8080" }), "", "settings: port"},
		{"proxies", with(func(s *gatewayv1.Settings) { s.TrustedProxies = []string{"10.0.0.0/99"} }), "", "trusted_proxies[0]"},
		{"negative timeout", with(func(s *gatewayv1.Settings) { s.Transport = &gatewayv1.Transport{ConnectTimeoutMs: -1} }), "", "transport.connect_timeout: out of range, got -1"},
		{"buckets", with(func(s *gatewayv1.Settings) { s.MaxBuckets = math.MaxInt64 }), "", "max_buckets: out of range"},

		{"garbage", stateOf(good, map[string][]byte{"users": {0xff}}), "users", `service "users": `},
		{"truncated", stateOf(good, map[string][]byte{"users": users(nil)[:20]}), "users", `service "users": `},
		{"unknown field", stateOf(good, map[string][]byte{"users": unknown(users(nil))}), "users", "unknown fields 99"},
		{"bad UTF-8", stateOf(good, map[string][]byte{"users": {0x0a, 0x02, '/', 0xff}}), "users", "UTF-8"},
		{"no name", stateOf(good, map[string][]byte{"": users(nil)}), "", "name of 0 bytes"},
		{"no URL", one(func(s *gatewayv1.Service) { s.Urls = nil }), "users", "no URL"},
		{"bad URL", one(func(s *gatewayv1.Service) { s.Urls = []string{"localhost:9001"} }), "users", "localhost:9001"},
		{"no TLS file", one(func(s *gatewayv1.Service) {
			s.Urls, s.UpstreamTls = []string{"h2://localhost"}, &gatewayv1.UpstreamTls{CaFile: "/no/ca.pem"}
		}), "users", `upstream_tls.ca_file: open /no/ca.pem`},
		{"NaN rate", one(func(s *gatewayv1.Service) { s.RateLimitRps = math.NaN() }), "users", `middleware "rate_limit"`},
		{"infinite rate", one(func(s *gatewayv1.Service) { s.RateLimitRps = math.Inf(1) }), "users", `middleware "rate_limit"`},
		{"burst of 2^63-1", one(func(s *gatewayv1.Service) { s.RateLimitBurst = math.MaxInt64 }), "users", "rate_limit_burst: out of range"},
		{"threshold", one(func(s *gatewayv1.Service) { s.CbFailureThreshold = -5 }), "users", "cb_failure_threshold: out of range"},
		{"reset time overflows", one(func(s *gatewayv1.Service) { s.CbResetTimeoutMs = math.MaxInt64 }), "users", "cb_reset_timeout: out of range"},
		{"unknown middleware", one(func(s *gatewayv1.Service) { s.Middleware = []string{"geo"} }), "users", `middleware "geo": this data plane does not have it (it has ["auth_apikey"`},
		{"middleware twice", one(func(s *gatewayv1.Service) { s.Middleware = []string{"metrics", "metrics"} }), "users", `middleware "metrics" stands twice`},
		{"pattern", one(func(s *gatewayv1.Service) { s.RoutePattern = "users" }), "users", "route_pattern"},
		{"conflict", stateOf(good, map[string][]byte{"a": users(nil), "b": users(nil)}), "b", `conflicts with that of service "a"`},
		{"factory refuses", one(func(s *gatewayv1.Service) { s.Middleware = []string{"refusing"} }), "users", `middleware "refusing": not today`},
		{"factory panics", one(func(s *gatewayv1.Service) { s.Middleware = []string{"panicking"} }), "users", "panic while it was built: oh"},
		{"factory returns nil", one(func(s *gatewayv1.Service) { s.Middleware = []string{"nothing"} }), "users", "returned nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, map[string]Factory{
				"refusing":  func([]byte) (func(http.Handler) http.Handler, error) { return nil, errors.New("not today") },
				"panicking": func([]byte) (func(http.Handler) http.Handler, error) { panic("oh") },
				"nothing":   func([]byte) (func(http.Handler) http.Handler, error) { return nil, nil },
			})
			next, why := Build(tt.state, f.live)
			if why == nil || next != nil {
				t.Fatalf("Build = %v, %v, want a rejection", next, why)
			}
			// protobuf varies the white space of its errors
			if reason := strings.ReplaceAll(why.Reason, "\u00a0", " "); why.Entry != tt.entry || !strings.Contains(reason, tt.reason) {
				t.Errorf("Rejection = %+v, want entry %q, reason with %q", why, tt.entry, tt.reason)
			}
			if got := f.series(t, "http_request_counter"); len(got) != 0 {
				t.Errorf("series of %q stay after a rejection", got)
			}
		})
	}
}

func TestCustomMiddleware(t *testing.T) {
	var got []string
	f := newFixture(t, map[string]Factory{"geo": func(config []byte) (func(http.Handler) http.Handler, error) {
		got = append(got, string(config))
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		}, nil
	}})
	if want := []string{"auth_apikey", "circuit_breaker", "geo", "metrics", "rate_limit"}; !cmp.Equal(f.live.Middleware(), want) {
		t.Errorf("Middleware = %q, want %q", f.live.Middleware(), want)
	}
	set := settings(func(s *gatewayv1.Settings) {
		s.MiddlewareConfigs = []*gatewayv1.MiddlewareConfig{{Name: "geo", Json: []byte(`{"a":1}`)}}
	})
	geo := users(func(s *gatewayv1.Service) { s.Middleware = []string{"geo"} })
	s := f.publish(t, stateOf(set, map[string][]byte{"users": geo})).Service("users")
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/users", nil))
	if !s.Custom || w.Code != http.StatusTeapot || !cmp.Equal(got, []string{`{"a":1}`}) {
		t.Errorf("Custom = %v, status %d, configs %q; want true, 418, one", s.Custom, w.Code, got)
	}
	f.publish(t, stateOf(set, map[string][]byte{"users": geo, "other": users(func(s *gatewayv1.Service) { s.RoutePattern = "/other" })}))
	if len(got) != 1 {
		t.Errorf("factory ran %d times, want once: its service did not change", len(got))
	}
	if _, err := NewLive(Deps{Custom: map[string]Factory{"metrics": nil}}); err == nil {
		t.Error("NewLive took the name of a built-in middleware")
	}
}

// Unchanged services are taken over as they are; changed ones keep their live parts.
func TestLiveStateOutlivesConfiguration(t *testing.T) {
	f := newFixture(t, nil)
	orders := users(func(s *gatewayv1.Service) { s.RoutePattern = "/orders" })
	first := f.publish(t, stateOf(settings(nil), map[string][]byte{"users": users(nil), "orders": orders}))
	before := first.Service("users").parts
	now, alice := time.Now(), limiter.ForKey("alice")
	for range 150 {
		before.buckets.Take(alice, f.live.now())
	}
	for range 5 {
		permit, _ := before.breaker.Allow(now)
		permit.Done(breaker.Failure, errors.New("refused"), now)
	}
	changed := users(func(s *gatewayv1.Service) { s.RateLimitBurst, s.CbFailureThreshold = 100, 9 })
	state := stateOf(settings(nil), map[string][]byte{"users": changed, "orders": orders})

	next, why := Build(state, f.live)
	if why != nil {
		t.Fatal(why)
	}
	if got := before.buckets.Rate().Burst(); got != 200 {
		t.Errorf("burst = %d before the snapshot serves, want 200: Build changes nothing", got)
	}
	f.hold.Publish(next, f.live)
	if next.Service("orders") != first.Service("orders") || next.Service("users") == first.Service("users") {
		t.Error("want orders taken over, users built anew")
	}
	after := next.Service("users").parts
	if after.buckets != before.buckets || after.breaker != before.breaker || after.cluster != before.cluster || after.buckets.Rate().Burst() != 100 {
		t.Error("want the same live parts with a burst of 100")
	}
	if got := after.buckets.Take(alice, f.live.now()).Remaining; got > 52 {
		t.Errorf("%d requests remain, want the level kept: about 50", got)
	}
	if got := f.live.BreakerState("users"); got.GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_OPEN || got.GetTrips() != 1 {
		t.Errorf("breaker = %v, want open", got)
	}

	// other global settings: everything is built anew, nothing is lost
	all := f.publish(t, stateOf(settings(func(s *gatewayv1.Settings) { s.ForwardKey = true }), state.Services))
	if all.Service("users").parts.breaker != before.breaker || all.Service("orders") == first.Service("orders") {
		t.Error("want orders built anew, users' breaker kept")
	}
}

func TestRejectionChangesNothing(t *testing.T) {
	f := newFixture(t, nil)
	first := f.publish(t, stateOf(settings(nil), map[string][]byte{"users": users(nil)}))
	bad := stateOf(settings(func(s *gatewayv1.Settings) { s.Transport = &gatewayv1.Transport{MaxIdle: 1} }), map[string][]byte{
		"users": users(func(s *gatewayv1.Service) { s.RateLimitBurst, s.Middleware = 1, []string{"rate_limit"} }),
		"new":   users(func(s *gatewayv1.Service) { s.RoutePattern = "/new" }),
		"zzz":   users(func(s *gatewayv1.Service) { s.RoutePattern = "bad" }),
	})
	if _, why := Build(bad, f.live); why == nil {
		t.Fatal("Build took a bad pattern")
	}
	if f.hold.Load() != first || first.Service("users").parts.buckets.Rate().Burst() != 200 {
		t.Error("the configuration before does not serve as it did")
	}
	for _, metric := range []string{"http_request_counter", "gateway_refused_total", "gateway_circuit_breaker_state"} {
		if got := f.series(t, metric); !cmp.Equal(got, []string{"users"}) {
			t.Errorf("series of %s for %q, want users alone", metric, got)
		}
	}
}

// A build that was never served leaves nothing behind, and takes nothing from the one after it.
func TestBuildThatIsNotPublished(t *testing.T) {
	f := newFixture(t, nil)
	orders := users(func(s *gatewayv1.Service) { s.RoutePattern = "/orders" })
	if _, why := Build(stateOf(settings(nil), map[string][]byte{"users": users(nil), "orders": orders}), f.live); why != nil {
		t.Fatal(why)
	}
	f.publish(t, stateOf(settings(nil), map[string][]byte{"users": users(nil)}))
	if got := f.series(t, "http_request_counter"); !cmp.Equal(got, []string{"users"}) {
		t.Errorf("series for %q, want users", got)
	}
}

func TestServicesThatGo(t *testing.T) {
	f := newFixture(t, nil)
	orders := users(func(s *gatewayv1.Service) { s.RoutePattern = "/orders" })
	f.publish(t, stateOf(settings(nil), map[string][]byte{"users": users(nil), "orders": orders}))
	bare := users(func(s *gatewayv1.Service) { s.Middleware = []string{"metrics"} })
	f.publish(t, stateOf(settings(nil), map[string][]byte{"users": bare}))
	if got := f.series(t, "http_request_counter"); !cmp.Equal(got, []string{"users"}) {
		t.Errorf("series for %q, want users", got)
	}
	if got := f.series(t, "gateway_circuit_breaker_state"); len(got) != 0 {
		t.Errorf("breakers of %q, want none: no chain has one", got)
	}
	if got := f.live.BreakerStates(); len(got) != 1 || got[0].GetService() != "users" {
		t.Errorf("BreakerStates = %v, want users", got)
	}
}

func TestBreakers(t *testing.T) {
	f := newFixture(t, nil)
	s := f.publish(t, stateOf(settings(nil), map[string][]byte{"users": users(nil)})).Service("users")
	var told []string
	f.live.OnBreakerChange(func(service string) { told = append(told, service) })
	now := time.Now()
	for range 5 {
		permit, _ := s.parts.breaker.Allow(now)
		permit.Done(breaker.Failure, errors.New("refused"), now)
	}
	got := f.live.BreakerState("users")
	if got.GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_OPEN || got.GetConsecutiveFailures() != 5 || got.GetLastError() != "refused" ||
		got.GetNextProbeAtMs() != now.Add(10*time.Second).UnixMilli() || len(got.GetUrls()) != 1 {
		t.Errorf("BreakerState = %v, want open after 5 failures", got)
	}
	if !f.live.ResetBreaker("users") || f.live.ResetBreaker("nobody") {
		t.Error("ResetBreaker: want true for users, false for nobody")
	}
	if got := f.live.BreakerState("users"); got.GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED {
		t.Errorf("BreakerState after reset = %v, want closed", got)
	}
	if f.live.BreakerState("nobody") != nil {
		t.Error("BreakerState of nobody, want nil")
	}
	if !cmp.Equal(told, []string{"users", "users", "users"}) { // opened, closed, reset
		t.Errorf("told %q, want users three times", told)
	}
}

func TestWatchOnURLsIsTold(t *testing.T) {
	f := newFixture(t, nil)
	dead := func(s *gatewayv1.Service) { s.Urls, s.Middleware = []string{"http://127.0.0.1:1"}, nil }
	s := f.publish(t, stateOf(settings(nil), map[string][]byte{"users": users(dead)})).Service("users")
	told := 0
	f.live.OnBreakerChange(func(string) { told++ })
	for range 5 {
		x := exchange.New(t.Context())
		s.Handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/users", nil).WithContext(x))
	}
	if url := f.live.BreakerState("users").GetUrls()[0]; told != 1 || url.GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_OPEN {
		t.Errorf("told %d times, URL %v; want once, when the watch opened", told, url)
	}
	f.live.ResetBreaker("users")
	if url := f.live.BreakerState("users").GetUrls()[0]; told < 2 || url.GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED {
		t.Errorf("told %d times, URL %v; want once more, after the reset", told, url)
	}
}
