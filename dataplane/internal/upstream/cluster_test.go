package upstream

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
)

func TestRoundRobin(t *testing.T) {
	g := newGateway(t, engines["client"], Settings{URLs: []string{named(t, "a").URL, named(t, "b").URL, named(t, "c").URL}})
	var got []string
	for range 7 {
		_, body := g.get(t)
		got = append(got, body)
	}
	if want := "a b c a b c a"; strings.Join(got, " ") != want {
		t.Errorf("answers = %v, want %s", got, want)
	}
}

func TestDeadURLIsPassedOver(t *testing.T) {
	dead := deadURL(t)
	g := newGateway(t, engines["client"], Settings{URLs: []string{dead, named(t, "b").URL}, FailureThreshold: 2, ResetTimeout: time.Hour})
	for i := range 6 {
		status, body := g.get(t)
		if x := g.exchange(t); status != 200 || body != "b" || x.Outcome.Failed != exchange.None {
			t.Errorf("request %d = %d %q %+v, want b's answer and no failure", i, status, body, x.Outcome)
		}
	}
	status := g.cluster.Status()
	if status[0].State != breaker.Open || !strings.Contains(status[0].LastError, "refused") || status[1].State != breaker.Closed {
		t.Errorf("Status() = %+v, want the dead URL open, with its cause, after 2 failures", status)
	}
	g.cluster.Reset(time.Now())
	if got := g.cluster.Status()[0]; got.State != breaker.Closed || got.LastError != "" {
		t.Errorf("after Reset: %+v, want closed and no error", got)
	}
}

func TestLastUsableURLIsUsed(t *testing.T) {
	failing := backend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	g := newGateway(t, engines["client"], Settings{URLs: []string{failing.URL}, FailureThreshold: 1, ResetTimeout: time.Hour})
	for range 3 {
		status, _ := g.get(t)
		x := g.exchange(t)
		if status != 503 || x.Outcome.Failed != exchange.Upstream || x.Refusal != "" {
			t.Errorf("answer = %d %+v refusal %q, want the backend's own 503 as its failure", status, x.Outcome, x.Refusal)
		}
	}
	if got := g.cluster.Status()[0]; got.State != breaker.Open || got.LastError != "status 503" {
		t.Errorf("Status() = %+v, want open by status 503", got)
	}
}

func TestPassedOverURLIsTheLastResort(t *testing.T) {
	a := named(t, "a")
	g := newGateway(t, engines["client"], Settings{URLs: []string{a.URL, deadURL(t)}, FailureThreshold: 1, ResetTimeout: time.Hour})
	permit, _ := g.cluster.targets[a.URL].watch.Allow(time.Now())
	permit.Done(breaker.Failure, errors.New("earlier"), time.Now())
	if status, body := g.get(t); status != 200 || body != "a" {
		t.Errorf("answer = %d %q, want a's, though it is passed over", status, body)
	}
}

func TestAllURLsDead(t *testing.T) {
	g := newGateway(t, engines["client"], Settings{URLs: []string{deadURL(t), deadURL(t)}})
	status, body := g.get(t)
	x := g.exchange(t)
	if status != 502 || body != "Upstream Error\n" || x.Refusal != "upstream_error" || x.Outcome.Failed != exchange.Upstream {
		t.Errorf("answer = %d %q, exchange %q %+v; want 502 upstream_error", status, body, x.Refusal, x.Outcome)
	}
	for _, s := range g.cluster.Status() {
		if !strings.Contains(s.LastError, "refused") {
			t.Errorf("Status = %+v, want each URL tried", s)
		}
	}
}

// TestWatchOutlivesConfiguration: URLs that stay keep their watch, also while the next configuration is only being built.
func TestWatchOutlivesConfiguration(t *testing.T) {
	a, b := deadURL(t), named(t, "b").URL
	s := Settings{URLs: []string{a, b}, FailureThreshold: 1, ResetTimeout: time.Hour}
	g := newGateway(t, engines["client"], s)
	g.get(t)
	next := Settings{URLs: []string{b, a, "http://127.0.0.1:1"}, FailureThreshold: 3, ResetTimeout: time.Hour}
	if _, err := g.cluster.Handler(next); err != nil {
		t.Fatal(err)
	}
	if got := len(g.cluster.Status()); got != 2 {
		t.Errorf("URLs in service after a build = %d, want still 2", got)
	}
	g.cluster.Update(next)
	var got []string
	for _, s := range g.cluster.Status() {
		got = append(got, s.URL+" "+s.State.String())
	}
	want := []string{b + " closed", a + " open", "http://127.0.0.1:1 closed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Status after Update (-want +got):\n%s", diff)
	}
	g.cluster.Update(Settings{URLs: []string{b}})
	if _, kept := g.cluster.targets[a]; kept {
		t.Error("the watch of a URL that is gone was kept")
	}
}

func TestBadURLs(t *testing.T) {
	c := newGateway(t, engines["client"], Settings{URLs: []string{"http://127.0.0.1:1"}}).cluster
	tests := []struct {
		name string
		urls []string
		want string
	}{
		{"none", nil, "no URL"},
		{"relative", []string{"localhost:9001"}, "not an absolute URL"},
		{"scheme", []string{"ftp://a"}, "not an absolute URL"},
		{"no host", []string{"http://"}, "not an absolute URL"},
		{"malformed", []string{"http://a b"}, "not a URL"},
		{"user", []string{"http://u:p@a"}, "user, query or fragment"},
		{"query", []string{"http://a/?"}, "user, query or fragment"},
		{"twice", []string{"http://a", "http://a"}, "stands twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := c.Handler(Settings{URLs: tt.urls}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Handler(%q) = %v, want %q", tt.urls, err, tt.want)
			}
		})
	}
}
