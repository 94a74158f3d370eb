package authapikey

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
)

func TestVerdictsAreLogged(t *testing.T) {
	tests := []struct {
		verdict string // as it is quoted in the log
		sent    []string
	}{
		{"ok", []string{"s3cret"}},
		{"missing", nil},
		{"malformed", []string{""}},
		{"malformed", []string{"s3cret", "s3cret"}},
		{"malformed", []string{strings.Repeat("k", maxKey+1)}},
		{"unknown", []string{"other"}},
	}
	for _, tt := range tests {
		var log bytes.Buffer
		v := &verifier{"s3cret", &keys.Identity{Name: "alice", All: true}, keys.OK, 0}
		mw, err := New(Config{Service: "users"}, Deps{v, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		if err != nil {
			t.Fatal(err)
		}
		x := exchange.New(t.Context())
		x.RequestID = "r-7"
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(x)
		r.Header[keyField] = tt.sent
		mw(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(httptest.NewRecorder(), r)
		if got, want := log.String(), "verdict="+tt.verdict+" request_id=r-7"; !strings.Contains(got, want) {
			t.Errorf("log = %q for %q, want %q", got, tt.sent, want)
		}
	}
}
