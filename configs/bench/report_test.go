package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProxyTable(t *testing.T) {
	second := func(requests uint64, busy time.Duration) sample {
		return sample{requests: requests, bytes: requests * mib, cpu: busy, lasted: time.Second, p99: 1500 * time.Microsecond}
	}
	r := result{
		scenario: scenario{name: "small", connections: 32, cores: 1, per: request},
		names:    []string{"gateway", "HAProxy"},
		samples: [][]sample{
			{second(1000, 500*time.Millisecond), second(3000, 900*time.Millisecond)},
			{second(1000, 250*time.Millisecond), second(4000, 600*time.Millisecond)},
		},
	}
	large := r
	large.scenario = scenario{name: "large", connections: 8, cores: 2, per: gibibyte}
	large.names, large.samples = r.names[:1], r.samples[:1]
	want := "CPU time of the whole proxy, rate, p99 and share of its cores in use: medians of 2 rounds of 3s. Ratio: CPU of the gateway ÷ CPU of the other, " +
		"geometric mean of the rounds' pairs, with its 95 % interval (t on logarithms).\n" + `
| scenario | connections, cores | proxy | CPU | rate | p99 | in use | gateway ÷ it (95 %) |
|---|---|---|--:|--:|--:|--:|--:|
| small | 32, 1 | gateway | 400.0 µs/request | 2000 requests/s | 1.50 ms | 70 % | – |
|  |  | HAProxy | 200.0 µs/request | 2500 requests/s | 1.50 ms | 42 % | 2.00 (2.00–2.00) |
| large | 8, 2 | gateway | 409.6 ms/GiB | 2000 MiB/s | 1.50 ms | 35 % | – |
`
	got := proxyTable([]result{r, large}, options{rounds: 2, duration: 3 * time.Second})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPropagationTable(t *testing.T) {
	rows := []propagation{{change: "`keys add`", all: []float64{3, 1, 2}, each: []float64{1, 1, 2, 3, 1, 1}, cpu: 1234567, down: 150.4, up: 99.5}}
	want := "3 data planes × 10 services in one process. Milliseconds from the store's commit to the arrival of Applied; " +
		"CPU of everything and bytes of one stream, per change and data plane.\n" + "\n" +
		"| change | times | last data plane: p50 | p99 | max | any data plane: p50 | p99 | CPU | bytes down, up |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|\n" +
		"| `keys add` | 3 | 2.0 | 3.0 | 3.0 | 1.0 | 3.0 | 1.235ms | 150, 100 |\n"
	if diff := cmp.Diff(want, propagationTable(rows, options{dataplanes: 3, services: 10})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCPUModel(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nmodel name\t: A CPU @ 2.80GHz\nflags\t: x\n": "A CPU @ 2.80GHz",
		"processor\t: 0\n": "unknown",
	} {
		if got := cpuModel(text); got != want {
			t.Errorf("cpuModel(%q) = %q, want %q", text, got, want)
		}
	}
}
