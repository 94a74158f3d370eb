package proxy

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/snapshot"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// world is a gateway over one backend that answers with what it was asked.
type world struct {
	gateway *gateway
	holder  *snapshot.Holder
	live    *snapshot.Live
	keys    *keys.Table
	meters  *prometheus.Registry
	backend *httptest.Server
}

func newWorld(tb testing.TB, own ...Middleware) *world {
	tb.Helper()
	w := &world{holder: new(snapshot.Holder), keys: keys.NewTable(), meters: prometheus.NewRegistry()}
	log := slog.New(slog.DiscardHandler)
	var err error
	w.live, err = snapshot.NewLive(snapshot.Deps{Keys: w.keys, Meters: w.meters, Custom: factories(own), Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.live.Close)
	if w.gateway, err = newGateway(w.holder, w.live.Refused, w.meters, log); err != nil {
		tb.Fatal(err)
	}
	w.backend = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %s host=%s body=%q\n", r.Method, r.RequestURI, r.Host, body)
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via", "X-Gateway-Key", "X-Real-Ip", "X_under"} {
			if v := r.Header.Values(name); len(v) > 0 {
				fmt.Fprintf(rw, "%s: %s\n", name, strings.Join(v, "|"))
			}
		}
	}))
	tb.Cleanup(w.backend.Close)
	return w
}

// serve publishes services, each with the backend's URL filled in.
func (w *world) serve(tb testing.TB, services map[string]*gatewayv1.Service) {
	tb.Helper()
	w.serveWith(tb, &gatewayv1.Listener{MaxRequests: 3, MaxAgeMs: 3_600_000, MaxConnections: 10}, services)
}

func (w *world) serveWith(tb testing.TB, listener *gatewayv1.Listener, services map[string]*gatewayv1.Service) {
	tb.Helper()
	state := snapshot.State{Revision: 1, Services: map[string][]byte{}}
	state.Settings = encode(tb, &gatewayv1.Settings{Port: ":0", Listener: listener})
	for name, s := range services {
		s.Urls, s.CbFailureThreshold, s.CbResetTimeoutMs = []string{w.backend.URL}, 5, 1000
		state.Services[name] = encode(tb, s)
	}
	next, rejection := snapshot.Build(state, w.live)
	if rejection != nil {
		tb.Fatal(rejection)
	}
	w.holder.Publish(next, w.live)
}

func encode(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// start serves the world and returns its address.
func (w *world) start(tb testing.TB) string {
	tb.Helper()
	_, public := drainable(tb, w, time.Second)
	return public.Addr().String()
}

// reply is the first answer to bytes that were sent.
type reply struct {
	status int
	header http.Header
	closed bool // the answer ends its connection
	body   string
}

// exchangeRaw sends bytes on a connection of their own.
func exchangeRaw(t *testing.T, address, raw string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, resp.Close, string(body)}
}

func TestGatewayAnswers(t *testing.T) {
	w := newWorld(t)
	w.serve(t, map[string]*gatewayv1.Service{
		"users": {RoutePattern: "/users", RefuseEncodedSlash: true},
		"posts": {RoutePattern: "POST /posts"},
	})
	s := w.start(t)
	tests := []struct {
		name, request, body string
		status              int
		header              http.Header // of the answer, those that are named
	}{
		{name: "routed", request: "GET /users/1?q=%zz HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, body: "GET /users/1?q=%zz host=h body=\"\"\n"},
		{name: "canonical path", request: "GET //users/./%41/../b HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, body: "GET /users/b host=h body=\"\"\n"},
		{name: "no route", request: "GET /usersX HTTP/1.1\r\nHost: h\r\n\r\n", status: 404, body: "Not Found\n"},
		{name: "method", request: "GET /posts HTTP/1.1\r\nHost: h\r\n\r\n", status: 405, body: "Method Not Allowed\n", header: http.Header{"Allow": {"POST"}}},
		{name: "trace", request: "TRACE /users HTTP/1.1\r\nHost: h\r\n\r\n", status: 405, body: "Method Not Allowed\n", header: http.Header{"Allow": {allowed}}},
		{name: "connect", request: "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", status: 405, body: "Method Not Allowed\n"},
		{name: "options *", request: "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", status: 204},
		{name: "encoded slash refused by the service", request: "GET /users/a%2fb HTTP/1.1\r\nHost: h\r\n\r\n", status: 400, body: "Bad Path Escape\n"},
		{name: "backslash", request: "GET /users/a%5cb HTTP/1.1\r\nHost: h\r\n\r\n", status: 400, body: "Bad Path Escape\n"},
		{name: "bad host", request: "GET /users HTTP/1.1\r\nHost: a b\r\n\r\n", status: 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := exchangeRaw(t, s, strings.Replace(tt.request, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
			if first, _, _ := strings.Cut(got.body, "\n"); got.status != tt.status || tt.body != "" && first+"\n" != tt.body || !got.closed {
				t.Errorf("%q = %+v, want %d %q", tt.request, got, tt.status, tt.body)
			}
			for name := range tt.header {
				if diff := cmp.Diff(tt.header.Values(name), got.header.Values(name)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestForgedHeadersReachNobody(t *testing.T) {
	w := newWorld(t)
	w.serve(t, map[string]*gatewayv1.Service{"users": {RoutePattern: "/users"}})
	got := exchangeRaw(t, w.start(t), "GET /users HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"+
		"X-Gateway-Key: root\r\nX_Under: 1\r\nConnection: close, X-Forwarded-Proto\r\n\r\n")
	want := "GET /users host=h body=\"\"\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: h\nVia: 1.1 apigateway\n"
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("the backend saw (-want +got):\n%s", diff)
	}
}

func TestUnconfiguredGatewayRefuses(t *testing.T) {
	w := newWorld(t)
	got := exchangeRaw(t, w.start(t), "GET / HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\nConnection: close\r\n\r\n")
	if got.status != 503 || !strings.Contains(got.body, `"code":"not_configured"`) {
		t.Errorf("answer = %+v, want 503 not_configured", got)
	}
	if got := counted(t, w.meters, "not_configured"); got != 1 {
		t.Errorf("gateway_refused_total = %v, want 1", got)
	}
}

// counted returns gateway_refused_total of no service for a code.
func counted(t *testing.T, meters prometheus.Gatherer, code string) float64 {
	t.Helper()
	families, err := meters.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "gateway_refused_total" && m.GetLabel()[0].GetValue() == code && m.GetLabel()[1].GetValue() == "" {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestPanicEndsItsRequestOnly(t *testing.T) {
	late := Plain("late", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/users/late" {
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
			}
			panic("boom")
		})
	})
	w := newWorld(t, late)
	w.serve(t, map[string]*gatewayv1.Service{"users": {RoutePattern: "/users", Middleware: []string{"late"}}})
	address := w.start(t)
	if got := get("http://" + address + "/users"); !strings.HasPrefix(got, "500") {
		t.Errorf("answer = %q, want 500", got)
	}
	if got := get("http://" + address + "/users/late"); !strings.HasPrefix(got, "error") {
		t.Errorf("an answer that broke off ended cleanly: %q", got)
	}
	if got := testutil.ToFloat64(w.gateway.panics); got != 2 {
		t.Errorf("panics = %v, want 2", got)
	}
}

func TestConnectionEndsAfterItsRequests(t *testing.T) {
	w := newWorld(t)
	w.serve(t, map[string]*gatewayv1.Service{"users": {RoutePattern: "/users"}}) // whose settings allow 3 requests
	conn, err := net.Dial("tcp", w.start(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i := 1; i <= 3; i++ {
		if _, err := io.WriteString(conn, "GET /users HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if want := i == 3; resp.Close != want {
			t.Errorf("answer %d: close = %v, want %v", i, resp.Close, want)
		}
	}
}
