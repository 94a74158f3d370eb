package configs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var builtin = []string{"auth_apikey", "rate_limit", "circuit_breaker", "metrics"}

const (
	chainBurst     = 5
	chainThreshold = 2
)

// chains returns every subset of the built-in middleware in every order.
func chains() [][]string {
	list := [][]string{{}}
	for i := 0; i < len(list); i++ {
		for _, name := range builtin {
			if !slices.Contains(list[i], name) {
				list = append(list, append(slices.Clone(list[i]), name))
			}
		}
	}
	return list
}

// step is one request to a chain.
type step struct {
	key     bool
	backend int // its status
}

// courses come through everything that a chain can answer: an open breaker, then an empty bucket; an empty bucket and never a failure.
var courses = map[string][]step{
	"fails":  {{true, 200}, {false, 200}, {true, 500}, {true, 500}, {true, 200}, {true, 200}, {true, 200}, {false, 200}},
	"floods": {{true, 200}, {true, 200}, {true, 200}, {true, 200}, {true, 200}, {true, 200}, {true, 200}, {false, 200}, {true, 200}},
}

// model is what a chain does, written down once more without any of its code.
type model struct {
	buckets  map[bool]int // tokens by whether the client was known by its key
	failures int
	counted  map[string]float64 // series of the service
}

// pass walks a request through a chain and returns the status of its answer.
func (m *model) pass(chain []string, s step) int {
	known, open, metered, guarded := false, m.failures >= chainThreshold, false, false
	status, code := 0, ""
	for _, name := range chain {
		switch {
		case name == "auth_apikey" && !s.key:
			status, code = 401, "auth_failed"
		case name == "auth_apikey":
			known = true
		case name == "rate_limit" && m.buckets[known] == chainBurst:
			status, code = 429, "rate_limited"
			m.counted["gateway_rate_limited_total{%s}"]++
		case name == "rate_limit":
			m.buckets[known]++
		case name == "circuit_breaker" && open:
			status, code = 503, "breaker_open"
		case name == "circuit_breaker":
			guarded = true
		case name == "metrics":
			metered = true
		}
		if status != 0 {
			break
		}
	}
	switch {
	case status != 0:
		m.counted[`gateway_refused_total{code="`+code+`",%s}`]++
	default:
		status = s.backend
		if guarded && status >= 500 {
			m.failures++
			m.counted["gateway_circuit_breaker_state{%s}"] = float64(m.failures / chainThreshold)
		} else if guarded {
			m.failures = 0
		}
	}
	if metered {
		m.counted[fmt.Sprintf(`http_request_counter{method="GET",%%s,status="%d"}`, status)]++
		m.counted["http_request_timer_count{%s}"]++
	}
	return status
}

// zero are the series that a chain has before its first request.
func zero(chain []string) map[string]float64 {
	series := map[string]float64{}
	for _, name := range chain {
		switch name {
		case "auth_apikey":
			series[`gateway_refused_total{code="auth_failed",%s}`] = 0
		case "rate_limit":
			series["gateway_rate_limited_total{%s}"], series[`gateway_refused_total{code="rate_limited",%s}`] = 0, 0
		case "circuit_breaker":
			series["gateway_circuit_breaker_state{%s}"], series[`gateway_refused_total{code="breaker_open",%s}`] = 0, 0
		case "metrics":
			series[`http_request_counter{method="GET",%s,status="200"}`], series["http_request_timer_count{%s}"] = 0, 0
			series[`http_request_timer_bucket{%s,le="+Inf"}`] = 0
		}
	}
	return series
}

// ofService keeps those series of want that a page has, and any other one of the fixed names that is not zero. In their names %s stands
// for the label of the service.
func ofService(page map[string]float64, name string, want map[string]float64) map[string]float64 {
	label, got := `service="`+name+`"`, map[string]float64{}
	for series, value := range page {
		general := strings.Replace(series, label, "%s", 1)
		if general == series {
			continue
		}
		family, _, _ := strings.Cut(series, "{")
		if _, asked := want[general]; asked || value != 0 && slices.Contains(fixedNames, family) {
			got[general] = value
		}
	}
	return got
}

// fixedNames are metrics of which a service has no series but those that it has to have.
var fixedNames = []string{
	"http_request_counter", "http_request_timer_count", "gateway_rate_limited_total", "gateway_circuit_breaker_state", "gateway_refused_total",
}

// Every chain answers and counts as the file orders its middleware.
func TestChains(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	b := newBackend(t, "backend-1")
	chainOf, courseOf := map[string][]string{}, map[string][]step{}
	var services []string
	for _, chain := range chains() {
		for course, steps := range courses {
			name := course + "." + strings.Join(chain, ".")
			chainOf[name], courseOf[name] = chain, steps
			services = append(services, service(name, strings.Join(chain, ", "), fmt.Sprintf("rate_limit_rps: 0.001, rate_limit_burst: %d, "+
				"cb_failure_threshold: %d, cb_reset_timeout_seconds: 3600", chainBurst, chainThreshold), b))
		}
	}
	f.write(configuration(services...))
	f.startControl()
	p := f.startData("a")
	page := f.metrics(p)
	for name, chain := range chainOf {
		if diff := cmp.Diff(zero(chain), ofService(page, name, zero(chain))); diff != "" {
			t.Errorf("%s before the first request (-want +got):\n%s", name, diff)
		}
	}
	want := map[string]map[string]float64{}
	for name, chain := range chainOf {
		m := &model{buckets: map[bool]int{}, counted: zero(chain)}
		for i, s := range courseOf[name] {
			f.expectStep(p, fmt.Sprintf("step %d of %s", i, name), fmt.Sprintf("/%s/status/%d", name, s.backend), s, m.pass(chain, s))
		}
		if slices.Contains(chain, "metrics") {
			m.counted[`http_request_timer_bucket{%s,le="+Inf"}`] = m.counted["http_request_timer_count{%s}"]
		}
		want[name] = m.counted
	}
	var got map[string]map[string]float64
	f.awaitOr("the metrics", func() bool { // a client can be faster than the count of its request
		got = map[string]map[string]float64{}
		page := f.metrics(p)
		for name := range chainOf {
			got[name] = ofService(page, name, want[name])
		}
		return cmp.Equal(want, got)
	}, func() string { return "(-want +got):\n" + cmp.Diff(want, got) })
}

// expectStep checks an answer and the headers that come with its status.
func (f *fleet) expectStep(p *plane, what, path string, s step, want int) {
	f.t.Helper()
	key := ""
	if s.key {
		key = fileKey
	}
	got := f.get(p, path, key)
	if got.status != want {
		f.t.Errorf("%s: %s = %d %q, want %d", what, path, got.status, got.body, want)
	}
	var headers []string
	switch want {
	case http.StatusTooManyRequests:
		headers = []string{"Retry-After", "RateLimit", "RateLimit-Policy"}
	case http.StatusServiceUnavailable:
		headers = []string{"Retry-After"}
	}
	for _, name := range headers {
		if got.header.Get(name) == "" {
			f.t.Errorf("%s: %d without %s: %v", what, want, name, got.header)
		}
	}
}
