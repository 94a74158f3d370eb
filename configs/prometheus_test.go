//go:build system

package configs

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// prometheus is a real one that scrapes a fleet by configs/prometheus.yml, more often than the file says.
type prometheus struct {
	*busy
	server *plane
}

// lookTool finds a program of Debian's package prometheus. These tests are asked for by their tag: without it they fail.
func lookTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v (want it: apt-get install prometheus)", err)
	}
	return path
}

// startPrometheus returns when it is ready.
func startPrometheus(t *testing.T, b *busy) *prometheus {
	t.Helper()
	path := lookTool(t, "prometheus")
	raw, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	content := string(raw)
	for _, r := range []struct{ shipped, here string }{
		{"scrape_interval: 5s", "scrape_interval: 1s"},
		{"127.0.0.1:18001", b.control.admin},
		{"127.0.0.1:6060", b.planes[0].admin},
		{"127.0.0.1:6061", b.planes[1].admin},
	} {
		if strings.Count(content, r.shipped) != 1 {
			t.Fatalf("prometheus.yml: want %s once", r.shipped)
		}
		content = strings.Replace(content, r.shipped, r.here, 1)
	}
	file := filepath.Join(b.dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &prometheus{b, &plane{name: "prometheus", admin: freeAddress(t), log: new(logged), ended: make(chan struct{})}}
	b.launch(p.server, exec.Command(path, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(b.dir, "prometheus"),
		"--web.listen-address="+p.server.admin, "--log.level=warn"))
	b.await("Prometheus to be ready", func() bool {
		a, err := b.try(p.server.admin, "/-/ready", "")
		return err == nil && a.status == http.StatusOK
	})
	return p
}

// measured is one series of an answer.
type measured struct {
	labels map[string]string
	value  float64
}

// query has an expression answered. One that Prometheus does not understand fails the test.
func (p *prometheus) query(expression string) []measured {
	p.t.Helper()
	got, err := p.try(p.server.admin, "/api/v1/query?query="+url.QueryEscape(expression), "")
	if err != nil {
		p.t.Fatal(err)
	}
	var page struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any // time, value as text
			}
		}
	}
	if err := json.Unmarshal([]byte(got.body), &page); err != nil || page.Error != "" {
		p.t.Fatalf("%s: status %d, %q, %v", expression, got.status, page.Error, err)
	}
	var list []measured
	for _, r := range page.Data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			p.t.Fatalf("%s: %v", expression, err)
		}
		list = append(list, measured{r.Metric, value})
	}
	return list
}

// question is a query with an answer that its fleet makes plausible: each series that has the labels lies from least to most.
type question struct {
	query       string
	labels      map[string]string
	series      int // that have the labels
	least, most float64
}

// ask returns what is wrong with the answer, "" nothing.
func (p *prometheus) ask(q question) string {
	p.t.Helper()
	n, answers := 0, p.query(q.query)
	for _, a := range answers {
		has := maps.Clone(a.labels)
		maps.Copy(has, q.labels)
		if !maps.Equal(has, a.labels) {
			continue
		}
		if n++; !(a.value >= q.least && a.value <= q.most) {
			return fmt.Sprintf("%s: %v = %v, want %v to %v", q.query, a.labels, a.value, q.least, q.most)
		}
	}
	if n != q.series {
		return fmt.Sprintf("%s: %d series with %v, want %d; all: %v", q.query, n, q.labels, q.series, answers)
	}
	return ""
}

type labels = map[string]string

// absurd is a rate, or a number of seconds, that this fleet cannot have.
const absurd = 100_000

var questions = []question{
	{`up`, nil, 3, 1, 1},
	{`rate(http_request_counter[1m])`, labels{"service": "users", "method": "GET", "status": "200"}, 2, 0.01, absurd},
	{`rate(http_request_counter[1m])`, labels{"service": "failing", "status": "200"}, 2, 0, 0},
	{`sum(http_request_counter{service="failing",status="500"})`, nil, 1, 2 * threshold, 2 * threshold},
	{`histogram_quantile(0.95, rate(http_request_timer_bucket[1m]))`, labels{"service": "users"}, 2, 1e-6, 30},
	{`sum by (service) (rate(gateway_rate_limited_total[1m]))`, labels{"service": "limited"}, 1, 0.01, absurd},
	{`sum by (service) (rate(gateway_rate_limited_total[1m]))`, labels{"service": "users"}, 1, 0, 0},
	{`sum by (code) (rate(gateway_refused_total[1m]))`, labels{"code": "auth_failed"}, 1, 0.01, absurd},
	{`sum by (code) (rate(gateway_refused_total[1m]))`, labels{"code": "breaker_open"}, 1, 0.01, absurd},
	{`gateway_circuit_breaker_state`, labels{"service": "failing", "job": "dataplane"}, 2, 1, 1},
	{`gateway_circuit_breaker_state`, labels{"service": "users"}, 2, 0, 0},
	{`gateway_sync_connected`, nil, 2, 1, 1},
	{`controlplane_dataplanes`, labels{"state": "serving"}, 1, 2, 2},
	{`controlplane_dataplanes`, labels{"state": "rejected"}, 1, 0, 0},
	{`controlplane_config_error`, nil, 1, 0, 0},
	{`controlplane_entries`, labels{"part": "config"}, 1, 4, 4}, // settings and three services
	{`gateway_sync_revision - on (part) group_left () controlplane_revision`, nil, 4, 0, 0},
	{`increase(controlplane_drifts_total[1m])`, nil, 1, 0, 0},
}

// readmeQuery is a row of the README's table of queries.
var readmeQuery = regexp.MustCompile("(?m)^\\| [^|`]+ \\| `([^`]+)` \\|$")

// readmeQueries returns what the README's section on metrics tells its readers to ask.
func readmeQueries(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(raw), "\n## Metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var queries []string
	for _, m := range readmeQuery.FindAllStringSubmatch(section, -1) {
		queries = append(queries, m[1])
	}
	if len(queries) < 4 {
		t.Fatalf("README: queries %q (want a table of them under Metrics)", queries)
	}
	return queries
}

// A real Prometheus scrapes the fleet and has plausible answers, to the README's queries and to every one of the dashboard.
func TestPrometheusAnswers(t *testing.T) {
	t.Parallel()
	p := startPrometheus(t, newBusy(t))
	asked := append([]question(nil), questions...)
	wrong := ""
	p.awaitOr("plausible answers", func() bool {
		for _, plane := range p.planes {
			p.work(plane)
		}
		for len(asked) > 0 {
			if wrong = p.ask(asked[0]); wrong != "" {
				return false
			}
			asked = asked[1:]
		}
		return true
	}, func() string { return wrong })
	for _, query := range readmeQueries(t) {
		if len(p.query(query)) == 0 {
			t.Errorf("README: no answer to %s", query)
		}
	}
	for title, expressions := range readDashboard(t).expressions() {
		for _, expression := range expressions {
			if len(p.query(expression)) == 0 {
				t.Errorf("dashboard, %s: no answer to %s", title, expression)
			}
		}
	}
}

func TestPrometheusConfigurationIsRight(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command(lookTool(t, "promtool"), "check", "config", "prometheus.yml").CombinedOutput(); err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
}
