package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	all := strings.Join(names(scenarios), " ")
	tests := []struct {
		args  string
		rows  string
		lasts time.Duration
		err   string
	}{
		{args: "", rows: all, lasts: 3 * time.Second},
		{args: "-rows ^small-32", rows: "small-32 small-32-cores-2", lasts: 3 * time.Second},
		{args: "-connections 64", rows: "as given", lasts: 3 * time.Second},
		{args: "-smoke", rows: "small-32 download-1MiB upload-1MiB", lasts: time.Second},
		{args: "-smoke -body 1048576 -upload", rows: "as given", lasts: time.Second},
		{args: "-rows large", err: "-rows: scenarios: got 0 (want 1 or more)"},
		{args: "-rows (", err: "-rows: error parsing regexp"},
		{args: "-tables proxy", err: `got "proxy" (want proxies or propagation)`},
		{args: "-duration 200ms", err: "-duration: seconds: got 0 (want 1 or more)"},
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
			if err == nil && (strings.Join(names(opts.scenarios), " ") != tt.rows || opts.duration != tt.lasts) {
				t.Errorf("rows %q of %v, want %q of %v", names(opts.scenarios), opts.duration, tt.rows, tt.lasts)
			}
		})
	}
}

func names(list []scenario) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.name)
	}
	return out
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
