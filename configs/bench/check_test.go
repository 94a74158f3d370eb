package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fair is a proxy that does its work, backends included.
type fair struct {
	key      string
	backends int
	turn     int
	short    int // bytes that large bodies lack
	open     bool
}

func (f *fair) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-API-KEY") != f.key && !f.open {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == bodyPath(mib) {
		_, _ = io.WriteString(w, strings.Repeat("x", mib-f.short))
		return
	}
	f.turn++
	_, _ = io.WriteString(w, strings.Repeat("ab"[f.turn%f.backends:][:1], smallBody))
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name  string
		proxy fair
		err   string
	}{
		{"fair", fair{key: "k", backends: 2}, ""},
		{"lets everybody in", fair{key: "k", backends: 2, open: true}, `key "": got 200 OK (want 401)`},
		{"lets nobody in", fair{key: "other", backends: 2}, "got 401 Unauthorized (want 200)"},
		{"one backend", fair{key: "k", backends: 1}, "answers of 1 backends"},
		{"short bodies", fair{key: "k", backends: 2, short: 1}, "body of 1048575 bytes (want 1048576)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(&tt.proxy)
			defer server.Close()
			if err := check(t.Context(), &bed{keys: []apiKey{{Secret: "k"}}}, server.URL); !matches(err, tt.err) {
				t.Errorf("check = %v, want %q", err, tt.err)
			}
		})
	}
}
