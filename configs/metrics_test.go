package configs

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"apigateway/dataplane/proxy"
)

// busy is a fleet of two data planes that has seen all that its metrics count: answers, refusals, limits, an open breaker.
type busy struct {
	*fleet
	control *plane
	planes  []*plane
}

func newBusy(t *testing.T) *busy {
	t.Helper()
	f := newFleet(t)
	good, bad := newBackend(t, "backend-1"), newBackend(t, "backend-2")
	bad.broken.Store(true)
	f.write(configuration(
		service("users", guarded, unlimited, good),
		service("limited", guarded, "rate_limit_rps: 0.001, rate_limit_burst: 1", good),
		service("failing", guarded, unlimited+", cb_failure_threshold: 6, cb_reset_timeout_seconds: 3600", bad),
	))
	b := &busy{fleet: f, control: f.startControl()}
	b.planes = []*plane{f.startData("a"), f.startData("b")}
	f.awaitServing()
	for range rounds {
		for _, p := range b.planes {
			b.work(p)
		}
	}
	return b
}

// rounds of work open the breaker of the failing service and then meet it open once.
const rounds = threshold + 1

// work sends a request of each kind.
func (b *busy) work(p *plane) {
	b.t.Helper()
	b.expect(p, "/users", fileKey, answer{status: 200})
	b.expect(p, "/users", "", answer{status: 401})
	b.expect(p, "/nobody-routes-this", fileKey, answer{status: 404})
	b.get(p, "/limited", fileKey)
	b.get(p, "/failing", fileKey)
}

// What a linter of Prometheus has to say: the fixed names break its rules, no other one does.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	b := newBusy(t)
	tests := []struct {
		name  string
		plane *plane
		want  []promlint.Problem
	}{
		{"control plane", b.control, nil},
		{"data plane", b.planes[0], []promlint.Problem{
			{Metric: "http_request_counter", Text: `counter metrics should have "_total" suffix`},
			{Metric: "http_request_counter", Text: "metric name should not include type 'counter'"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, err := b.try(tt.plane.admin, "/metrics", "")
			if err != nil || page.status != http.StatusOK {
				t.Fatalf("/metrics = %v, %v", page, err)
			}
			got, err := promlint.New(strings.NewReader(page.body)).Lint()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("promlint (-want +got):\n%s", diff)
			}
		})
	}
}

// The README says of every metric of ours what it counts, or in a query what it is for.
func TestReadmeNamesEveryMetric(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, n := string(raw), 0
	b := newBusy(t)
	for _, p := range []*plane{b.control, b.planes[0]} {
		page, err := b.try(p.admin, "/metrics", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ownMetric.FindAllStringSubmatch(page.body, -1) {
			n++
			if !strings.Contains(readme, m[1]) {
				t.Errorf("README: nothing about %s", m[1])
			}
		}
	}
	if n < len(fixedNames) {
		t.Errorf("%d metrics of ours, want all of them", n)
	}
}

var ownMetric = regexp.MustCompile(`(?m)^# TYPE ((?:gateway|controlplane|http_request)_\w+) `)

// What an operator asks a data plane, by the numbers of the other side where there are any.
func TestOperatorMetrics(t *testing.T) {
	t.Parallel()
	b := newBusy(t)
	a := b.planes[0]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.public+"/users/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"X-Api-Key": {fileKey}, "X_dropped": {"1", "2"}}
	stream, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if _, err := io.ReadFull(stream.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	control := b.metrics(b.control)
	if revision := control[`controlplane_revision{part="config"}`]; revision < 1 {
		t.Errorf("revision of the configuration = %v, want one", revision)
	}
	want := map[string]float64{
		"gateway_sync_connected":                                       1,
		`gateway_sync_revision{part="config"}`:                         control[`controlplane_revision{part="config"}`],
		`gateway_sync_revision{part="keys"}`:                           control[`controlplane_revision{part="keys"}`],
		"gateway_sync_rejected_total":                                  0,
		`gateway_sync_drift_total{part="keys"}`:                        0,
		`gateway_cache_unsaved{part="config"}`:                         0,
		`gateway_cache_unsaved{part="keys"}`:                           0,
		"gateway_cache_errors_total":                                   0,
		"gateway_keys_unusable":                                        0,
		"gateway_rate_limit_buckets":                                   3, // one client of three services
		"gateway_rate_limit_evicted_total":                             0,
		"gateway_connections_refused_total":                            0,
		"gateway_tunnels_open":                                         1,
		"gateway_drain_cut_total":                                      0,
		"gateway_panics_total":                                         0,
		"gateway_underscore_headers_dropped_total":                     2,
		`gateway_refused_total{code="no_route",service=""}`:            rounds,
		`gateway_refused_total{code="auth_failed",service="users"}`:    rounds,
		`gateway_refused_total{code="breaker_open",service="failing"}`: 1,
		`gateway_rate_limited_total{service="limited"}`:                rounds - 1,
		`gateway_rate_limited_total{service="users"}`:                  0,
		`gateway_circuit_breaker_state{service="failing"}`:             1,
		`gateway_circuit_breaker_state{service="users"}`:               0,
		`gateway_proxy_canceled_total{service="users"}`:                0,
		`gateway_upstream_body_errors_total{service="users"}`:          0,
	}
	page, got := b.metrics(a), map[string]float64{}
	for series := range want {
		if value, ok := page[series]; ok {
			got[series] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if open := page["gateway_connections_open"]; open < 1 {
		t.Errorf("gateway_connections_open = %v, want the stream's at least", open)
	}
}

// A data plane whose cache cannot be written says that a restart would need the control plane.
func TestUnsavedIsMeasured(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	f.startControl()
	p := f.startData("a", func(o *proxy.Options) { o.Cache = filepath.Join(f.config, "below a file") })
	page := f.metrics(p)
	for _, part := range []string{"config", "keys"} {
		if got := page[`gateway_cache_unsaved{part="`+part+`"}`]; got != 1 {
			t.Errorf("gateway_cache_unsaved of %s = %v, want 1", part, got)
		}
	}
	if got := page["gateway_cache_errors_total"]; got < 2 {
		t.Errorf("gateway_cache_errors_total = %v, want one for each part at least", got)
	}
}
