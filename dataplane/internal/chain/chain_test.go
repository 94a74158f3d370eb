package chain

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBuildOrder(t *testing.T) {
	var seen []string
	note := func(name string) Middleware {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen = append(seen, name)
				next.ServeHTTP(w, r)
			})
		}
	}
	last := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen = append(seen, "last") })
	tests := []struct {
		name string
		mws  []Middleware
		want string
	}{
		{"none", nil, "last"},
		{"one", []Middleware{note("a")}, "a last"},
		{"three", []Middleware{note("a"), note("b"), note("c")}, "a b c last"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen = nil
			Build(last, tt.mws...).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			if got := strings.Join(seen, " "); got != tt.want {
				t.Errorf("Build(%s) ran %q, want %q", tt.name, got, tt.want)
			}
		})
	}
}

func TestBuildWithoutMiddlewareReturnsLast(t *testing.T) {
	last := http.NewServeMux()
	if got := Build(last); got != http.Handler(last) {
		t.Errorf("Build(last) = %v, want last itself", got)
	}
}
