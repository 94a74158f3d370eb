package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	all := strings.Join(rowNames(), " ")
	tests := []struct {
		args  string
		rows  string
		lasts time.Duration
		err   string
	}{
		{args: "", rows: all},
		{args: "-rows small-32", rows: "small-32"},
		{args: "-rows small-32*,idle -duration 5s", rows: "small-32 small-32-cores-2 idle", lasts: 5 * time.Second},
		{args: "-rows prop*", rows: "propagation"},
		{args: "-connections 64", rows: "as given"},
		{args: "-smoke", rows: all, lasts: 300 * time.Millisecond},
		{args: "-smoke -body 1048576 -upload", rows: "as given", lasts: 300 * time.Millisecond},
		{args: "-rows small-32,large", err: `-rows: no such scenario, got "large" (want of small-32, small-256,`},
		{args: "-rows [", err: `-rows: "[": syntax error in pattern`},
		{args: "-duration -1s", err: "-duration, -warmup: got -1s and 1s (want 0s or more)"},
		{args: "-body 10", err: "-body: got 10 (want 46 or more)"},
		{args: "-cores 0 -rounds 0", err: "-rounds: got 0 (want 1 or more)\n-cores: got 0"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var stderr bytes.Buffer
			opts, err := parseFlags(strings.Fields(tt.args), &stderr)
			if !matches(err, tt.err) || !strings.Contains(stderr.String(), tt.err) {
				t.Fatalf("error %v, printed %q, want %q", err, &stderr, tt.err)
			}
			if err == nil && (strings.Join(names(opts), " ") != tt.rows || opts.duration != tt.lasts) {
				t.Errorf("rows %q of %v, want %q of %v", names(opts), opts.duration, tt.rows, tt.lasts)
			}
		})
	}
}

func names(opts options) []string {
	var out []string
	for _, s := range opts.scenarios {
		out = append(out, s.name)
	}
	if opts.propagation {
		out = append(out, propagationRow)
	}
	return out
}

// What a smoke test runs is every row, and none of it long.
func TestSmoke(t *testing.T) {
	opts, err := parseFlags([]string{"-smoke"}, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	if len(opts.scenarios) != len(scenarios) || !opts.propagation || opts.rounds != 1 || opts.warmup != 0 {
		t.Errorf("got %d scenarios, propagation %v, %d rounds, warm-up %v", len(opts.scenarios), opts.propagation, opts.rounds, opts.warmup)
	}
	for _, s := range opts.scenarios {
		if s.connections > 256 {
			t.Errorf("%s: got %d connections", s.name, s.connections)
		}
	}
}

func TestCustomScenario(t *testing.T) {
	opts, err := parseFlags(strings.Fields("-connections 7 -body 2097152 -upload -cores 2"), new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	s := opts.scenarios[0]
	if s.connections != 7 || s.body != 2*mib || !s.upload || s.cores != 2 || s.per.name != gibibyte.name || s.path() != "/users" {
		t.Errorf("got %+v", s)
	}
}
