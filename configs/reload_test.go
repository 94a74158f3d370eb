package configs

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func reloads() int {
	if long {
		return 1000
	}
	return 30
}

// Reloads under load: no request fails, no connection ends, and what has not changed keeps its buckets and its breaker.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	backends := []*backend{newBackend(t, "backend-1"), newBackend(t, "backend-2")}
	dead := newBackend(t, "backend-3")
	dead.stop()
	constant := service("constant", guarded, unlimited, backends...) +
		service("drained", guarded, "rate_limit_rps: 0.001, rate_limit_burst: 3", backends...) +
		service("tripped", guarded, unlimited+", cb_failure_threshold: 6, cb_reset_timeout_seconds: 3600", dead)
	f.write(configuration(constant, changing(0, backends)))
	f.startControl()
	p := f.startData("a")
	f.awaitServing()

	for range 3 {
		f.expect(p, "/drained", fileKey, answer{status: http.StatusOK})
	}
	f.expect(p, "/drained", fileKey, answer{status: http.StatusTooManyRequests})
	f.trip(p, "/tripped")
	open := f.awaitBreaker("tripped", gatewayv1.CircuitState_CIRCUIT_STATE_OPEN)
	loads := []*load{startLoad(t, 2, p, "/constant", fileKey), startLoad(t, 2, p, "/changing", fileKey)}
	observer, err := dial(p.public)
	if err != nil {
		t.Fatal(err)
	}
	defer observer.close()

	for i := range reloads() {
		f.apply(configuration(constant, changing(i+1, backends)))
		if status, last, err := observer.get("/constant", fileKey); status != http.StatusOK || last || err != nil {
			t.Fatalf("the observing connection after %d reloads: status %d, last %v, %v", i+1, status, last, err)
		}
		f.expect(p, fmt.Sprintf("/extra-%d", i+1), "", answer{status: http.StatusOK}) // what came with this reload
		f.expect(p, fmt.Sprintf("/extra-%d", i), "", answer{status: http.StatusNotFound})
		f.expect(p, "/drained", fileKey, answer{status: http.StatusTooManyRequests})
		f.expect(p, "/tripped", fileKey, answer{status: http.StatusServiceUnavailable})
	}
	for _, l := range loads {
		endLoad(t, l)
	}
	if diff := cmp.Diff(open, f.breakers("tripped")["a"], protocmp.Transform(), protocmp.IgnoreFields(&gatewayv1.UrlState{}, "state", "last_error")); diff != "" {
		t.Errorf("the open breaker changed (-before +after):\n%s", diff)
	}
}

// changing is what the n-th reload brings: other limits, thresholds, URLs and order of one service, and a service that is there once.
func changing(n int, backends []*backend) string {
	urls := [][]*backend{backends, backends[:1], backends[1:], {backends[1], backends[0]}}[n%4]
	chain := []string{guarded, "metrics, auth_apikey, circuit_breaker, rate_limit", "auth_apikey"}[n%3]
	return service("changing", chain, fmt.Sprintf("rate_limit_rps: %d, rate_limit_burst: 1000000, cb_failure_threshold: %d", 1_000_000+n, 5+n%3), urls...) +
		service(fmt.Sprintf("extra-%d", n), "", "", backends...) +
		fmt.Sprintf("transport: {max_idle: %d}\n", 1000+n/5) // every fifth time all services are built anew
}

// poisons are files that are wrong in ways that have ended programs.
func poisons(t *testing.T) map[string]string {
	t.Helper()
	large := 10 << 20
	if race { // reading YAML is fifteen times slower then
		large = 1 << 20
	}
	bad := map[string]string{
		"merge key":     "{{},<<}",
		"alias bomb":    "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nservices: [*c, *c, *c]\n",
		"two documents": configuration() + "  []\n---\nservices: []\n",
		"wrong types":   "port: [1]\nservices: {a: b}\nmiddleware_config: 3\n",
		"nan":           "services: [{name: a, route_pattern: /a, urls: ['http://h'], rate_limit_rps: .nan}]\n",
		"2^63":          "services: [{name: a, route_pattern: /a, urls: ['http://h'], rate_limit_burst: 9223372036854775808}]\n",
		"empty":         "",
		"binary":        "\x00\xff\xfe\x01",
		"deep":          strings.Repeat("[", 100_000),
		"large":         "port: " + strings.Repeat("x", large) + "\n",
		"tag":           "services: !!binary aGVsbG8=\n",
		"cycle":         "services: &s [*s]\n",
	}
	files, err := filepath.Glob("../controlplane/internal/config/testdata/*.bad.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("bad files = %q, %v, want some", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bad[filepath.Base(file)] = string(content)
	}
	return bad
}

// No content of the file ends the control plane or changes what is served.
func TestPoisonousFiles(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	b := newBackend(t, "backend-1")
	good := configuration(service("users", guarded, unlimited, b))
	f.write(good)
	control := f.startControl()
	p := f.startData("a")
	f.awaitServing()
	before := f.dataplanes()["a"]
	for name, content := range poisons(t) {
		refused := f.metrics(control)["controlplane_config_reload_failures_total"]
		f.write(content)
		f.reload <- struct{}{}
		f.await(name+" to be refused", func() bool {
			return f.metrics(control)["controlplane_config_reload_failures_total"] > refused
		})
		if status := f.status(); len(status.GetMistakes()) == 0 || status.GetErrorAtMs() == 0 {
			t.Errorf("%s: status = %v, want its mistakes", name, status)
		}
		f.expect(p, "/users", fileKey, answer{status: http.StatusOK, body: b.greeting})
	}
	if got := f.metrics(control)["controlplane_config_error"]; got != 1 {
		t.Errorf("controlplane_config_error = %v, want 1 with a bad file", got)
	}
	if after := f.dataplanes()["a"]; after.GetRevision() != before.GetRevision() {
		t.Errorf("revision = %d, want still %d", after.GetRevision(), before.GetRevision())
	}
	f.write(good) // which is in force already: nothing is applied, but the error goes
	f.reload <- struct{}{}
	f.await("the error to go", func() bool {
		return len(f.status().GetMistakes()) == 0 && f.metrics(control)["controlplane_config_error"] == 0
	})
}
