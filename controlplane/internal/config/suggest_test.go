package config

import "testing"

func TestSuggest(t *testing.T) {
	known := []string{"port", "max_body", "rate_limit_rps", "rate_limit_burst", "urls"}
	tests := []struct {
		got  string
		want string
	}{
		{"prot", "port"},                       // swapped
		{"por", "port"},                        // left out
		{"pport", "port"},                      // twice
		{"pork", "port"},                       // wrong
		{"host", ""},                           // two wrong in four
		{"rate_limit_rsp", "rate_limit_rps"},   // as in the documentation
		{"ratelimitburst", "rate_limit_burst"}, // two left out
		{"ratelimitsmax", ""},
		{"maxbody", "max_body"},
		{"", ""},
		{"url", "urls"},
		{"rate_limit_rps_and_something_that_is_far_too_long_to_be_compared_at_all", ""},
	}
	for _, tt := range tests {
		if got := suggest(tt.got, known); got != tt.want {
			t.Errorf("suggest(%q) = %q, want %q", tt.got, got, tt.want)
		}
	}
}
