package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
