package authapikey

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
)

// verifier knows one secret, and counts how often it is asked.
type verifier struct {
	secret  string
	id      *keys.Identity
	verdict keys.Verdict
	asked   int
}

func (v *verifier) Verify(h keys.Hash, _ time.Time) (*keys.Identity, keys.Verdict) {
	v.asked++
	if h != keys.HashOf(v.secret) {
		return nil, keys.Unknown
	}
	return v.id, v.verdict
}

func TestServeHTTP(t *testing.T) {
	alice := &keys.Identity{Name: "alice", Services: []string{"users"}}
	long := strings.Repeat("k", maxKey)
	tests := []struct {
		name     string
		verifier verifier
		cfg      Config
		sent     []string
		passed   bool
		asked    int
		backend  http.Header // what the next handler sees
	}{
		{
			"valid",
			verifier{"s3cret", alice, keys.OK, 0},
			Config{Service: "users"},
			[]string{"s3cret"},
			true, 1,
			http.Header{nameField: {"alice"}},
		},
		{
			"forwarded",
			verifier{"s3cret", alice, keys.OK, 0},
			Config{Service: "users", ForwardKey: true},
			[]string{"s3cret"},
			true, 1,
			http.Header{nameField: {"alice"}, keyField: {"s3cret"}},
		},
		{
			"longest",
			verifier{long, alice, keys.OK, 0},
			Config{Service: "users"},
			[]string{long},
			true, 1,
			http.Header{nameField: {"alice"}},
		},
		{"absent", verifier{"s3cret", alice, keys.OK, 0}, Config{Service: "users"}, nil, false, 0, nil},
		{"empty", verifier{"", alice, keys.OK, 0}, Config{Service: "users"}, []string{""}, false, 0, nil},
		{"twice", verifier{"s3cret", alice, keys.OK, 0}, Config{Service: "users"}, []string{"s3cret", "s3cret"}, false, 0, nil},
		{"too long", verifier{long + "k", alice, keys.OK, 0}, Config{Service: "users"}, []string{long + "k"}, false, 0, nil},
		{"unknown", verifier{"s3cret", alice, keys.OK, 0}, Config{Service: "users"}, []string{"other"}, false, 1, nil},
		{"expired", verifier{"s3cret", alice, keys.Expired, 0}, Config{Service: "users"}, []string{"s3cret"}, false, 1, nil},
		{"unusable", verifier{"s3cret", nil, keys.OK, 0}, Config{Service: "users"}, []string{"s3cret"}, false, 1, nil},
		{"other service", verifier{"s3cret", alice, keys.OK, 0}, Config{Service: "orders"}, []string{"s3cret"}, false, 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			mw, err := New(tt.cfg, Deps{&tt.verifier, logger})
			if err != nil {
				t.Fatal(err)
			}
			var seen http.Header
			h := mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
			x := exchange.New(t.Context())
			r := httptest.NewRequest(http.MethodGet, "/users", nil).WithContext(x)
			if tt.sent != nil {
				r.Header[keyField] = tt.sent
			}
			secret := strings.Join(tt.sent, "")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)

			if diff := cmp.Diff(tt.backend, seen); diff != "" {
				t.Errorf("headers behind it (-want +got):\n%s", diff)
			}
			if tt.verifier.asked != tt.asked {
				t.Errorf("Verify calls = %d, want %d", tt.verifier.asked, tt.asked)
			}
			if tt.passed && (x.Key != alice || x.KeyHash != keys.HashOf(secret)) {
				t.Errorf("exchange key = %v, want alice and the secret's hash", x.Key)
			}
			if !tt.passed {
				checkRefused(t, w, x)
			}
			if secret != "" && strings.Contains(log.String(), secret) || log.Len() == 0 {
				t.Errorf("log = %q, want the decision without the key", log.String())
			}
		})
	}
}

func checkRefused(t *testing.T, w *httptest.ResponseRecorder, x *exchange.Exchange) {
	t.Helper()
	if w.Code != 401 || w.Body.String() != "Authentication Failed\n" || w.Header().Get("WWW-Authenticate") != challenge {
		t.Errorf("answer = %d %q %v, want 401 Authentication Failed with a challenge", w.Code, w.Body, w.Header())
	}
	if x.Key != nil || x.Refusal != "auth_failed" || x.Outcome.Failed != exchange.Client {
		t.Errorf("exchange = key %v, refusal %q, %+v; want none, auth_failed, client", x.Key, x.Refusal, x.Outcome)
	}
}

func TestNewWithoutKeys(t *testing.T) {
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("New without a key table: no error")
	}
}

func TestAllocations(t *testing.T) {
	v := &verifier{"s3cret", &keys.Identity{Name: "alice", All: true}, keys.OK, 0}
	mw, err := New(Config{Service: "users"}, Deps{v, slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := mw(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/users", nil).WithContext(exchange.New(t.Context()))
	values := []string{""}
	if got := testing.AllocsPerRun(100, func() {
		values[0] = "s3cret"
		r.Header[keyField] = values
		h.ServeHTTP(nil, r)
	}); got != 0 {
		t.Errorf("a valid request allocates %v times, want 0", got)
	}
}
