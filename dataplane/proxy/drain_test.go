package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"apigateway/dataplane/internal/upstream"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drainable is a plane that serves a world's gateway, without a control plane.
func drainable(tb testing.TB, w *world, drain time.Duration) (*plane, net.Listener) {
	tb.Helper()
	p := &plane{
		opts: Options{Drain: drain}, log: slog.New(slog.DiscardHandler), holder: w.holder, gateway: w.gateway,
		tunnels: new(upstream.Tunnels), meters: prometheus.NewRegistry(), cut: prometheus.NewCounter(prometheus.CounterOpts{Name: "cut"}),
	}
	var err error
	if p.server, err = p.newServer(); err != nil {
		tb.Fatal(err)
	}
	public, err := bind("--listen", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = p.server.Serve(public)
	}()
	tb.Cleanup(func() {
		p.server.Close()
		<-served
		if err := p.server.Shutdown(tb.Context()); err != nil && tb.Context().Err() == nil {
			tb.Error(err)
		}
	})
	return p, public
}

// gate is own middleware that holds requests until it is opened.
func gate() (mw Middleware, entered, open chan struct{}) {
	entered, open = make(chan struct{}, 1), make(chan struct{})
	return Plain("gate", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			select {
			case <-open:
			case <-r.Context().Done():
			}
			next.ServeHTTP(w, r)
		})
	}), entered, open
}

func TestDrainWaitsForRequests(t *testing.T) {
	mw, entered, open := gate()
	w := newWorld(t, mw)
	w.serve(t, map[string]*gatewayv1.Service{"users": {RoutePattern: "/users", Middleware: []string{"gate"}}})
	p, public := drainable(t, w, time.Minute)
	answer := make(chan string, 1)
	go func() { answer <- get("http://" + public.Addr().String() + "/users") }()
	<-entered
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		p.drain(0)
	}()
	for { // the listener closes first
		conn, err := net.Dial("tcp", public.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case <-drained:
		t.Fatal("drained with a request under way")
	default:
	}
	close(open)
	if got := <-answer; !strings.HasPrefix(got, "200 close=true GET /users") {
		t.Errorf("the request under way got %q, want its answer and the end of the connection", got)
	}
	<-drained
	if got := testutil.ToFloat64(p.cut); got != 0 {
		t.Errorf("cut = %v, want 0", got)
	}
}

func TestDrainCutsAndCountsWhatIsLeft(t *testing.T) {
	mw, entered, _ := gate()
	w := newWorld(t, mw)
	w.serve(t, map[string]*gatewayv1.Service{"users": {RoutePattern: "/users", Middleware: []string{"gate"}}})
	p, public := drainable(t, w, time.Nanosecond)
	answer := make(chan string, 1)
	go func() { answer <- get("http://" + public.Addr().String() + "/users") }()
	<-entered
	p.drain(0)
	if got := <-answer; !strings.HasPrefix(got, "error") {
		t.Errorf("the request that was cut got %q, want a broken connection", got)
	}
	if got := testutil.ToFloat64(p.cut); got != 1 {
		t.Errorf("cut = %v, want 1", got)
	}
}

func get(url string) string {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	if err != nil {
		return "error " + err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "error " + err.Error()
	}
	closing := "false"
	if resp.Close {
		closing = "true"
	}
	return resp.Status[:3] + " close=" + closing + " " + string(body)
}

func TestConnectionsOverTheLimitAreRefused(t *testing.T) {
	w := newWorld(t)
	w.serve(t, map[string]*gatewayv1.Service{"users": {RoutePattern: "/users"}})
	_, public := drainable(t, w, time.Second) // the world's settings allow 10 connections
	for range 9 {
		idle, err := net.Dial("tcp", public.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
	}
	tenth, err := net.Dial("tcp", public.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer tenth.Close()
	if _, err := io.WriteString(tenth, "GET /users HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := tenth.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the tenth connection got no answer: %v", err)
	}
	eleventh, err := net.Dial("tcp", public.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer eleventh.Close()
	if n, err := eleventh.Read(make([]byte, 1)); err == nil {
		t.Errorf("the eleventh connection read %d bytes, want its end", n)
	}
}

func TestPortIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.serve(t, map[string]*gatewayv1.Service{"users": {RoutePattern: "/users"}})
	var lines strings.Builder
	p := &plane{holder: w.holder, log: slog.New(slog.NewTextHandler(&lines, nil))}
	served := ":1"
	p.port.Store(&served)
	told := ""
	for range 3 {
		told = p.tellPort(told)
	}
	if got := strings.Count(lines.String(), "takes effect at a restart"); got != 1 {
		t.Errorf("told %d times, want once:\n%s", got, lines.String())
	}
}

func TestParseFlags(t *testing.T) {
	t.Setenv("DATAPLANE_ADMIN", "127.0.0.1:7000")
	t.Setenv("DATAPLANE_LISTEN", "127.0.0.1:9")
	opts, err := parseFlags([]string{"--listen", ":8090", "--controlplane", "127.0.0.1:1,localhost:2"}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if opts.Admin != "127.0.0.1:7000" || opts.Listen != ":8090" || len(opts.ControlPlanes) != 2 || !strings.HasSuffix(opts.ID, "-8090") {
		t.Errorf("parseFlags = %+v, want the environment below the command line, and an id with the port", opts)
	}
	for name, args := range map[string][]string{
		"remote control plane": {"--controlplane", "10.0.0.1:18000"},
		"argument":             {"x"},
		"negative drain":       {"--drain", "-1s"},
		"log format":           {"--log-format", "xml"},
		"unknown flag":         {"--nope"},
	} {
		if _, err := parseFlags(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%s: parseFlags(%q) succeeded, want an error", name, args)
		}
	}
	if opts, err := parseFlags([]string{"--controlplane", "10.0.0.1:18000", "--insecure"}, io.Discard, io.Discard); err != nil || !opts.Insecure {
		t.Errorf("parseFlags with --insecure = %v, want no error", err)
	}
}

func TestKeyWithoutExchange(t *testing.T) {
	if name, ok := Key(context.Background()); ok || name != "" {
		t.Errorf("Key = %q, %v, want none", name, ok)
	}
}
