package upstream

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
)

// scripted is an engine that fails as it is told and then answers 200.
type scripted struct {
	outcomes []Outcome
	takes    time.Duration // of each failure
	asked    []string
	by       []time.Time
	panics   bool
}

func (e *scripted) Attempt(w http.ResponseWriter, _ *http.Request, a *Attempt) Outcome {
	e.asked, e.by = append(e.asked, a.Backend.URL), append(e.by, a.ConnectBy)
	if e.panics {
		panic("engine")
	}
	if len(e.outcomes) > 0 {
		time.Sleep(e.takes) // in a bubble, or 0
		o := e.outcomes[0]
		e.outcomes = e.outcomes[1:]
		return o
	}
	w.WriteHeader(http.StatusOK)
	a.Answered(http.StatusOK)
	return Outcome{}
}

// scriptedGateway is a cluster over a scripted engine.
type scriptedGateway struct {
	cluster *Cluster
	handler http.Handler
}

func newScripted(t *testing.T, e *scripted, urls ...string) *scriptedGateway {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := Settings{URLs: urls, FailureThreshold: 1, ResetTimeout: time.Hour}
	g := &scriptedGateway{cluster: NewCluster("users", Deps{Engine: e, Metrics: metrics, Tunnels: &Tunnels{}})}
	if g.handler, err = g.cluster.Handler(s); err != nil {
		t.Fatal(err)
	}
	g.cluster.Update(s)
	return g
}

func (g *scriptedGateway) ask(t *testing.T, method, body string) (*exchange.Exchange, *httptest.ResponseRecorder) {
	t.Helper()
	x := exchange.New(t.Context())
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, httptest.NewRequest(method, "/", strings.NewReader(body)).WithContext(x))
	return x, w
}

func reasonOf(t *testing.T, code string) refusal.Reason {
	t.Helper()
	r, ok := refusal.ByCode(code)
	if !ok {
		t.Fatalf("no code %q", code)
	}
	return r
}

func TestConnectsTogetherTakeTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unmade := Outcome{Stage: Unmade, Failed: exchange.Upstream, Reason: refusal.UpstreamTimeout, Err: errors.New("i/o timeout")}
		e := &scripted{outcomes: []Outcome{unmade, unmade, unmade, unmade}, takes: 4 * time.Second}
		g := newScripted(t, e, "http://a", "http://b", "http://c", "http://d")
		start := time.Now()
		x, w := g.ask(t, http.MethodPost, "body") // nothing was sent: any method may go on
		if got := strings.Join(e.asked, " "); got != "http://a http://b http://c" || w.Code != 504 || x.Outcome.Failed != exchange.Upstream {
			t.Errorf("attempts = %s, answer %d; want three, then 504", got, w.Code)
		}
		if want := start.Add(connectBudget); !e.by[0].Equal(want) || !e.by[2].Equal(want) {
			t.Errorf("ConnectBy = %v, want 10 s after the first began", e.by)
		}
	})
}

func TestAfterSendingNothingIsRepeated(t *testing.T) {
	e := &scripted{outcomes: []Outcome{{Stage: Sent, Failed: exchange.Upstream, Reason: refusal.UpstreamError, Err: errors.New("EOF")}}}
	g := newScripted(t, e, "http://a", "http://b")
	if _, w := g.ask(t, http.MethodGet, ""); w.Code != 502 || len(e.asked) != 1 {
		t.Errorf("answer = %d after %v, want 502 after one attempt", w.Code, e.asked)
	}
}

func TestStaleConnectionIsRepeatedOnce(t *testing.T) {
	stale := Outcome{Stage: StaleConn, Failed: exchange.Gateway, Reason: refusal.UpstreamError, Err: errors.New("EOF")}
	e := &scripted{outcomes: []Outcome{stale, stale}}
	g := newScripted(t, e, "http://a", "http://b")
	if _, w := g.ask(t, http.MethodGet, ""); w.Code != 502 || len(e.asked) != 2 {
		t.Errorf("answer = %d after %v, want 502 after two attempts", w.Code, e.asked)
	}
}

// TestGoneClientIsToldNothing: returning would make the server write a 200.
func TestGoneClientIsToldNothing(t *testing.T) {
	e := &scripted{outcomes: []Outcome{{Stage: Sent, Failed: exchange.Client, Gone: true, Err: errors.New("reset")}}}
	g := newScripted(t, e, "http://a")
	defer func() {
		if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // a panic's value is this very one
			t.Errorf("panic = %v, want http.ErrAbortHandler", got)
		}
	}()
	g.ask(t, http.MethodGet, "")
	t.Error("the handler returned")
}

// TestPanicFreesTheProbe: a watch whose probe ends in a panic is not stuck half-open.
func TestPanicFreesTheProbe(t *testing.T) {
	e := &scripted{outcomes: []Outcome{{Stage: Sent, Failed: exchange.Upstream, Reason: refusal.UpstreamError, Err: errors.New("EOF")}}}
	synctest.Test(t, func(t *testing.T) {
		g := newScripted(t, e, "http://a")
		g.ask(t, http.MethodGet, "")
		time.Sleep(time.Hour) // the bubble's clock
		e.panics = true
		func() {
			defer func() { _ = recover() }()
			g.ask(t, http.MethodGet, "")
		}()
		e.panics = false
		g.ask(t, http.MethodGet, "")
		if got := g.cluster.Status()[0].State.String(); got != "closed" {
			t.Errorf("watch = %s, want closed by the second probe", got)
		}
	})
}
