package refusal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"apigateway/dataplane/internal/exchange"
)

func TestTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for reason := range reasons {
		e := table[reason]
		if e.code == "" || e.sentence == "" || http.StatusText(e.status) == "" || e.party == exchange.None {
			t.Errorf("table[%d] = %+v, want every field set", reason, e)
		}
		if seen[e.code] {
			t.Errorf("code %q stands twice", e.code)
		}
		seen[e.code] = true
		if got, ok := ByCode(e.code); !ok || got != reason {
			t.Errorf("ByCode(%q) = %v, %v; want %v", e.code, got, ok, reason)
		}
	}
	if got := Codes(); len(got) != int(reasons) || !slices.Contains(got, "auth_failed") {
		t.Errorf("Codes() = %v, want all %d", got, reasons)
	}
}

func TestWrite(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.1:9000: connection refused")
	tests := []struct {
		name   string
		method string
		accept []string
		reason Reason
		status int
		body   string
		typ    string
	}{
		{"plain", "GET", nil, AuthFailed, 401, "Authentication Failed\n", "text/plain; charset=utf-8"},
		{"wildcard", "GET", []string{"*/*"}, NoRoute, 404, "Not Found\n", "text/plain; charset=utf-8"},
		{"head", "HEAD", nil, RateLimited, 429, "", "text/plain; charset=utf-8"},
		{
			"problem", "GET",
			[]string{"text/html", "text/plain;q=0.5, Application/JSON"},
			BreakerOpen, 503,
			`{"type":"about:blank","title":"Service Unavailable","status":503,"code":"breaker_open","detail":"Service Unavailable"}` + "\n",
			"application/problem+json",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := exchange.New(t.Context())
			x.RequestID = "request-1"
			r := httptest.NewRequest(tt.method, "/", nil).WithContext(x)
			r.Header["Accept"] = tt.accept
			w := httptest.NewRecorder()
			WriteCause(w, r, tt.reason, cause)
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("Write(%v) = %d %q, want %d %q", tt.reason, w.Code, w.Body, tt.status, tt.body)
			}
			want := http.Header{
				"Content-Type": {tt.typ}, "Cache-Control": {"no-store"}, "X-Request-Id": {"request-1"},
				"Content-Length": {fmt.Sprint(len(plainOrProblem(tt.reason, tt.typ)))},
			}
			if diff := cmp.Diff(want, w.Header()); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if x.Refusal != tt.reason.Code() || x.Outcome.Failed != tt.reason.Party() || !errors.Is(x.Outcome.Err, cause) {
				t.Errorf("exchange = %q %+v, want the refusal and its cause", x.Refusal, x.Outcome)
			}
		})
	}
}

func plainOrProblem(r Reason, contentType string) []byte {
	if contentType == problem[r].contentType {
		return problem[r].bytes
	}
	return plain[r].bytes
}

func TestProblemsAreJSON(t *testing.T) {
	for reason := range reasons {
		var got struct {
			Status int
			Code   string
		}
		if err := json.Unmarshal(problem[reason].bytes, &got); err != nil || got.Code != reason.Code() || got.Status != reason.Status() {
			t.Errorf("problem[%v] = %s, %v", reason, problem[reason].bytes, err)
		}
	}
}

func TestWantsJSON(t *testing.T) {
	tests := []struct {
		accept string
		want   bool
	}{
		{"", false},
		{"*/*", false},
		{"application/*", false},
		{"application/json", true},
		{"application/problem+json", true},
		{"text/html,application/json;q=0.1", true},
		{"application/json;q=0", false},
		{"application/json; charset=utf-8; Q=0.000", false},
		{"application/json;q=0, application/problem+json", true},
		{"application/jsonp", false},
		{" application/json ; q=0.001", true},
		{",,;;", false},
	}
	for _, tt := range tests {
		t.Run(tt.accept, func(t *testing.T) {
			if got := wantsJSON([]string{tt.accept}); got != tt.want {
				t.Errorf("wantsJSON(%q) = %v, want %v", tt.accept, got, tt.want)
			}
		})
	}
}

func TestCounters(t *testing.T) {
	reg := prometheus.NewRegistry()
	c, err := NewCounters(reg)
	if err != nil {
		t.Fatal(err)
	}
	if got := testutil.CollectAndCount(c.vec); got != int(reasons) {
		t.Errorf("series of service \"\" = %d, want %d", got, reasons)
	}
	users := c.Service("users")
	if _, err := NewCounters(reg); err == nil {
		t.Error("NewCounters twice on one registry: no error")
	}
	users.Inc("auth_failed")
	users.Inc("auth_failed")
	users.Inc("no_route")
	users.Inc("")
	users.Inc("made up")
	if got := testutil.ToFloat64(c.vec.WithLabelValues("users", "auth_failed")); got != 2 {
		t.Errorf("auth_failed = %v, want 2", got)
	}
	if got := testutil.ToFloat64(c.vec.WithLabelValues("users", "no_route")); got != 1 {
		t.Errorf("no_route = %v, want 1", got)
	}
	c.Forget("users")
	if got := testutil.CollectAndCount(c.vec); got != int(reasons) {
		t.Errorf("series after Forget = %d, want %d", got, reasons)
	}
}
