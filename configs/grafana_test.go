package configs

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dashboard is what the tests look at of grafana/gateway.json.
type dashboard struct {
	Panels     []panel
	Templating struct {
		List []struct {
			Name, Type string
			Query      any // of a data source: its type; else an object with another query in it
		}
	}
}

type panel struct {
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct {
			Unit     string
			Mappings []struct {
				Options map[string]struct{ Text string }
			}
		}
	}
	Targets []struct {
		Datasource struct{ UID string }
		Expr       string
	}
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	raw, err := os.ReadFile("grafana/gateway.json")
	if err != nil {
		t.Fatal(err)
	}
	d := new(dashboard)
	if err := json.Unmarshal(raw, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// filled are the variables of the dashboard as Grafana may fill them in; a label that does not exist matches no service.
var filled = strings.NewReplacer("$__rate_interval", "1m", "$service", ".+")

// expressions returns every query of the dashboard by the title of its panel.
func (d *dashboard) expressions() map[string][]string {
	all := map[string][]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], filled.Replace(target.Expr))
		}
	}
	return all
}

var (
	notNames   = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring|group_left|group_right) *\([^)]*\)`)
	word       = regexp.MustCompile(`[\w:.]+ *\(?`)
	operators  = []string{"and", "or", "unless", "bool", "offset", "inf", "nan"}
	labelQuery = regexp.MustCompile(`^label_values\((.+), *\w+\)$`)
)

// metricNames returns the metrics that an expression of PromQL names, in order.
func metricNames(expression string) []string {
	names := map[string]bool{}
	for _, w := range word.FindAllString(notNames.ReplaceAllString(expression, " "), -1) {
		function, number := strings.HasSuffix(w, "("), w[0] >= '0' && w[0] <= '9' || w[0] == '.'
		if w = strings.TrimSpace(w); !function && !number && !slices.Contains(operators, strings.ToLower(w)) {
			names[w] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func TestMetricNamesOfExpressions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expression string
		want       []string
	}{
		{`up`, []string{"up"}},
		{`histogram_quantile(0.95, sum by (le) (rate(t_bucket{service=~"a|b{"}[5m])))`, []string{"t_bucket"}},
		{`sum(rate(a{x="y"}[1m])) by (x) / on (x) group_left() b offset 5m > bool 1e3`, []string{"a", "b"}},
		{`a:b:c and on(d) 5 * e_f unless max_over_time(g[1h:1m])`, []string{"a:b:c", "e_f", "g"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, metricNames(tt.expression)); diff != "" {
			t.Errorf("metrics of %s (-want +got):\n%s", tt.expression, diff)
		}
	}
}

// Whatever the dashboard asks for is there to be scraped.
func TestDashboardAsksForWhatExists(t *testing.T) {
	t.Parallel()
	b, d := newBusy(t), readDashboard(t)
	exists := map[string]bool{}
	for _, p := range []*plane{b.control, b.planes[0]} {
		for series := range b.metrics(p) {
			name, _, _ := strings.Cut(series, "{")
			exists[name] = true
		}
	}
	all := d.expressions()
	for _, v := range d.Templating.List {
		if query, ok := v.Query.(map[string]any); ok {
			text, _ := query["query"].(string)
			m := labelQuery.FindStringSubmatch(text)
			if m == nil {
				t.Fatalf("variable %s asks %q, want label_values(metric, label)", v.Name, text)
			}
			all["variable "+v.Name] = []string{m[1]}
		}
	}
	for title, expressions := range all {
		for _, expression := range expressions {
			names := metricNames(expression)
			if len(names) == 0 {
				t.Errorf("%s: no metric in %s", title, expression)
			}
			for _, name := range names {
				if !exists[name] {
					t.Errorf("%s: %s is no metric of the gateway, in %s", title, name, expression)
				}
			}
		}
	}
}

// Each panel can be read by somebody who did not make it, and is fed by the data source that is chosen on top.
func TestDashboardPanels(t *testing.T) {
	t.Parallel()
	const chosen = "${datasource}"
	d := readDashboard(t)
	if list := d.Templating.List; len(list) == 0 || list[0].Name != "datasource" || list[0].Query != "prometheus" {
		t.Errorf("variables = %v, want the data source first", list)
	}
	places, titles := map[[2]int]string{}, map[string]bool{}
	for _, p := range d.Panels {
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				place := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, taken := places[place]; taken || place[0] >= 24 {
					t.Fatalf("%s lies at %v, over %q or the edge", p.Title, place, other)
				}
				places[place] = p.Title
			}
		}
		if titles[p.Title] {
			t.Errorf("two panels are called %s", p.Title)
		}
		titles[p.Title] = true
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != chosen || len(p.Targets) == 0 {
			t.Errorf("%s: description %q, unit %q, data source %q, %d queries, want all of them and %s", p.Title, p.Description,
				p.FieldConfig.Defaults.Unit, p.Datasource.UID, len(p.Targets), chosen)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != chosen {
				t.Errorf("%s: data source %q of %s, want %s", p.Title, target.Datasource.UID, target.Expr, chosen)
			}
			if strings.HasPrefix(target.Expr, "gateway_circuit_breaker_state") {
				p.expectStates(t)
			}
		}
	}
}

// expectStates checks that a panel shows the numbers of a breaker as words.
func (p *panel) expectStates(t *testing.T) {
	t.Helper()
	got := map[string]string{}
	for _, m := range p.FieldConfig.Defaults.Mappings {
		for number, shown := range m.Options {
			got[number] = shown.Text
		}
	}
	if diff := cmp.Diff(map[string]string{"0": "closed", "1": "open", "2": "half-open"}, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", p.Title, diff)
	}
}
