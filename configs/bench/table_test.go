package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/configs/conformance"
)

func second(requests uint64, busy time.Duration) sample {
	return sample{requests: requests, bytes: requests * mib, cpu: busy, lasted: time.Second, p99: 1500 * time.Microsecond, peak: 3 * mib / 2, each: 3 * kib}
}

func TestTables(t *testing.T) {
	small := result{
		scenario: scenario{name: "small", in: requestTable, connections: 32, cores: 1, per: request},
		names:    []string{gateway, haproxy},
		samples: [][]sample{
			{second(1000, 500*time.Millisecond), second(3000, 900*time.Millisecond)},
			{second(1000, 250*time.Millisecond), second(4000, 600*time.Millisecond)},
		},
	}
	one := func(s scenario, names ...string) result {
		r := result{scenario: s, names: names}
		for i := range names {
			r.samples = append(r.samples, []sample{second(uint64(1000*(i+1)), 400*time.Millisecond)})
		}
		return r
	}
	strict := one(scenario{name: "strictness", in: strictnessTable, per: misjudged}, gateway, "nginx")
	strict.samples[1][0].accepted, strict.samples[1][0].refused = []string{"a", "b"}, []string{"c"}
	tests := []struct {
		name    string
		table   *table
		results []result
		want    string
	}{
		{"requests", requestTable, []result{small}, `
| scenario | connections, cores | proxy | CPU | rate | p99 | in use | gateway ÷ it (95 %) |
|---|---|---|--:|--:|--:|--:|--:|
| small | 32, 1 | gateway | 400.0 µs/request | 2000 requests/s | 1.50 ms | 70 % | – |
|  |  | HAProxy | 200.0 µs/request | 2500 requests/s | 1.50 ms | 42 % | 2.00 (2.00–2.00) |
`},
		{"bodies", bodyTable, []result{small, one(scenario{name: "large", in: bodyTable, connections: 8, cores: 2, per: gibibyte}, gateway)}, `
| scenario | connections, cores | proxy | CPU | rate | in use | peak memory | gateway ÷ it (95 %) |
|---|---|---|--:|--:|--:|--:|--:|
| large | 8, 2 | gateway | 409.6 ms/GiB | 1000 MiB/s | 20 % | 1.5 MiB | – |
`},
		{"TLS, of ours nothing", tlsTable, []result{one(scenario{name: "tls", in: tlsTable, connections: 1, cores: 1, per: handshake}, haproxy, "nginx")}, `
| scenario | connections, cores | proxy | CPU | per CPU second | rate | p99 | in use | gateway ÷ it (95 %) |
|---|---|---|--:|--:|--:|--:|--:|--:|
| tls | 1, 1 | HAProxy | 400.0 µs/handshake | 2500 | 1000 handshakes/s | 1.50 ms | 40 % | – |
|  |  | nginx | 200.0 µs/handshake | 5000 | 2000 handshakes/s | 1.50 ms | 40 % | – |
`},
		{"idle", idleTable, []result{one(scenario{name: "idle", in: idleTable, connections: 9, cores: 1, per: kibibyte}, gateway, haproxy)}, `
| scenario | connections, cores | proxy | memory | gateway ÷ it (95 %) |
|---|---|---|--:|--:|
| idle | 9, 1 | gateway | 3.0 KiB/connection | – |
|  |  | HAProxy | 3.0 KiB/connection | 1.00 (one round) |
`},
		{"strictness", strictnessTable, []result{strict}, fmt.Sprintf(`
| scenario | proxy | malformed accepted | legal refused |
|---|---|--:|--:|
| strictness | gateway | 0 of %[1]d | 0 of %[2]d |
|  | nginx | 2 of %[1]d | 1 of %[2]d |

- nginx accepted: a; b
- nginx refused: c
`, countClass(conformance.Malformed), countClass(conformance.Legal))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := "**" + tt.table.title + "**\n" + tt.want + "\n"
			if diff := cmp.Diff(want, tt.table.markdown(tt.results)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestComparison(t *testing.T) {
	got := comparison(nil, []string{"nginx: not found"}, options{rounds: 2, duration: 3 * time.Second})
	for _, want := range []string{"Medians of 2 rounds of 3s.", "- left out: nginx: not found\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if strings.Contains(got, "|") {
		t.Errorf("got a table of nothing: %q", got)
	}
}

// Every scenario is printed.
func TestEveryScenarioHasItsTable(t *testing.T) {
	printed := map[*table]bool{}
	for _, table := range tables {
		printed[table] = true
	}
	for _, s := range scenarios {
		if !printed[s.in] || s.measure == nil || s.backends == nil || s.ready == nil || s.per.cost == nil {
			t.Errorf("%s: table, backends, ready, unit or measure is missing", s.name)
		}
	}
}

func TestResultAnd(t *testing.T) {
	first := result{names: []string{"a", "b"}, samples: [][]sample{{second(1, 1)}, {second(2, 1)}}}
	next := result{names: []string{"a", "b"}, samples: [][]sample{{second(3, 1)}, {second(4, 1)}}}
	got := result{}.and(first).and(next)
	want := [][]float64{{1, 3}, {2, 4}}
	for i, samples := range got.samples {
		if diff := cmp.Diff(want[i], each(samples, func(s sample) float64 { return float64(s.requests) })); diff != "" {
			t.Errorf("%s (-want +got)\n%s", got.names[i], diff)
		}
	}
}
