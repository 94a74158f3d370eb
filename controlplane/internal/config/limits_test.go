package config

import (
	"fmt"
	"strings"
	"testing"
)

const oneService = "services: [{name: a, route_pattern: /, urls: [http://a], middleware: [metrics]}]\n"

// services returns a file with n services, written as people do.
func services(n int) []byte {
	var b strings.Builder
	b.WriteString("services:\n")
	for i := range n {
		fmt.Fprintf(&b, `  - name: service-%[1]d
    route_pattern: "/service-%[1]d"
    urls: ["http://localhost:8081", "http://localhost:8083"]
    middleware: [auth_apikey, rate_limit, circuit_breaker, metrics]
    rate_limit_rps: 200
    rate_limit_burst: 400
    cb_failure_threshold: 6
    cb_reset_timeout_seconds: 15
`, i)
	}
	return []byte(b.String())
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name string
		data string
		want string
	}{
		{"large file", oneService + strings.Repeat(" ", MaxBytes), fmt.Sprintf("f:1:1: file too large, got %d bytes (want at most %d)", MaxBytes+len(oneService), MaxBytes)},
		{"many values", oneService + "x: [" + strings.Repeat("a,", maxMarks) + "]", "f:1:1: too many values, got about 4000014 (want at most 4000000)"},
		{"many values in blocks", oneService + "x:\n" + strings.Repeat("- \n", maxMarks), "f:1:1: too many values, got about 4000013 (want at most 4000000)"},
		{"many values like JSON", "{" + strings.Repeat(`"a":1`+"\n", maxMarks) + "}", "f:1:1: too many values, got about 4000001 (want at most 4000000)"},
		{"deep flow", strings.Repeat("[", 100_000), "f:1:1: not YAML, exceeded max depth of 10000"},
		{"deep blocks", strings.Repeat("- ", 100_000), "f:1:1: not YAML, exceeded max depth of 10000"},
		{"deep but below the parser's bound", oneService + "middleware_config: {c: {d: " + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}}", "f:2:60: middleware_config.c.d" + strings.Repeat("[0]", 32) + ": nested too deeply (want at most 32 levels)"},
		{"large settings", oneService + "middleware_config: {c: {a: " + strings.Repeat("x", maxJSON) + "}}", "f:2:24: middleware_config.c: too large, got 262152 bytes as JSON with those before it (want at most 262144)"},
		{"settings large together", oneService + "middleware_config: {c: {a: " + strings.Repeat("x", maxJSON-8) + "}, d: {}}", "f:2:262170: middleware_config.d: too large, got 262146 bytes as JSON with those before it (want at most 262144)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, mistakes, _ := Parse("f", []byte(tt.data))
			if got := mistakes.Error(); got != tt.want {
				t.Errorf("Parse = %.300q, want %q", got, tt.want)
			}
		})
	}
}

func TestMistakesAreBounded(t *testing.T) {
	tests := []struct {
		name   string
		wrong  int
		length int
		last   string
	}{
		{"all said", 1000, 1000, "f:1001:3: services[999]: wrong type, got a number (want a mapping)"},
		{"cut", 1500, 1000, "f:1001:3: and 501 more"},
		{"not even kept", 30_000, 1000, "f:1001:3: and 29001 more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, mistakes, _ := Parse("f", []byte("services:\n"+strings.Repeat("- 5\n", tt.wrong)))
			if len(mistakes) != tt.length {
				t.Fatalf("Parse returned %d mistakes, want %d", len(mistakes), tt.length)
			}
			if got := mistakes[len(mistakes)-1].String(); got != tt.last {
				t.Errorf("last mistake = %q, want %q", got, tt.last)
			}
		})
	}
}

// TestLargest checks that the bounds leave room for as many services as are promised.
func TestLargest(t *testing.T) {
	data := services(100_000)
	if m := checkBytes(data); m != nil {
		t.Errorf("checkBytes(100,000 services) = %v, want nil", m)
	}
	c, _ := parse(t, "f", services(2_000))
	if len(c.Services) != 2_000 {
		t.Errorf("Parse read %d services, want 2000", len(c.Services))
	}
}
