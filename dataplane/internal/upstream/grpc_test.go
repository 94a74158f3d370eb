package upstream

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/exchange"
)

// overHTTP2 is a client that speaks HTTP/2 to the gateway.
func overHTTP2(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// message is a request as gRPC clients make it; its body goes on until it is closed.
func message(t *testing.T, g *gateway) (r *http.Request, body *io.PipeWriter) {
	t.Helper()
	in, body := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/users.Users/Get", in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Grpc-Timeout": {"5S"}}
	return r, body
}

// TestTrailers: trailers pass both ways, and so does what a call says in its head.
func TestTrailers(t *testing.T) {
	asked := make(chan http.Header, 2)
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Clone()
		body, _ := io.ReadAll(r.Body)
		asked <- r.Trailer.Clone()
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = w.Write(body)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
	})
	g := newGateway(t, newTransport, Settings{URLs: []string{b.URL}})
	r, body := message(t, g)
	r.Trailer = http.Header{"X-End": {"2"}, "X-Unsaid": nil}
	go func() {
		_, _ = io.WriteString(body, "hello")
		_ = body.Close()
	}()
	resp, err := overHTTP2(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || string(answer) != "hello" {
		t.Errorf("body = %q, %v", answer, err)
	}
	if diff := cmp.Diff(http.Header{"Grpc-Status": {"0"}, "X-Sum": {"1"}}, resp.Trailer); diff != "" {
		t.Errorf("trailers of the answer (-want +got):\n%s", diff)
	}
	head, trailer := <-asked, <-asked
	for name, want := range map[string]string{"Te": "trailers", "Grpc-Timeout": "5S", "Via": "2.0 apigateway"} {
		if got := head.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if diff := cmp.Diff("2", trailer.Get("X-End")); diff != "" {
		t.Errorf("trailer of the request (-want +got):\n%s", diff)
	}
}

// TestHeadThatIsAll: a status in the head counts for gRPC only if the head is the end, also while the client is still
// sending.
func TestHeadThatIsAll(t *testing.T) {
	s := newScript(t, nil, func(c *scriptConn, _ int) {
		stream, ok := c.request()
		if !ok {
			return
		}
		c.headers(stream, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "12")
		c.wait()
	})
	front := newScriptedClient(t, newGateway(t, newTransport, Settings{URLs: []string{s.url}}))
	front.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/", "content-type", "application/grpc")
	if flags, _, _, ok := front.next(frameHeaders); !ok || flags&flagEnd == 0 {
		t.Errorf("flags of the head = %b, want END_STREAM", flags)
	}
}

// TestCallsHaveNoBodyLimits: a call is a stream, but only where every backend speaks HTTP/2.
func TestCallsHaveNoBodyLimits(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }
	h2c := strings.Replace(backend(t, echo).URL, "http", "h2c", 1)
	tests := []struct {
		name        string
		urls        []string
		contentType string
		status      int
	}{
		{"call", []string{h2c}, "application/grpc+proto", 200},
		{"no call", []string{h2c}, "application/octet-stream", 413},
		{"gRPC-Web", []string{h2c}, "application/grpc-web", 413},
		{"call, a backend of HTTP/1.1", []string{h2c, backend(t, echo).URL}, "application/grpc", 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, newEngines, Settings{URLs: tt.urls, MaxBody: 4})
			r, body := message(t, g)
			r.Header.Set("Content-Type", tt.contentType)
			go func() {
				_, _ = io.WriteString(body, "hello")
				_ = body.Close()
			}()
			resp, err := overHTTP2(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if x := g.exchange(t); x.Status != tt.status {
				t.Errorf("status = %d %+v, want %d", x.Status, x.Outcome, tt.status)
			}
		})
	}
}

// TestPatienceWithCalls: the head of a call may take as long as the stream may be idle, unless the service says otherwise.
func TestPatienceWithCalls(t *testing.T) {
	tests := []struct {
		name   string
		stream bool
		s      Settings
		want   time.Duration
	}{
		{"request", false, Settings{}, defaultFirstByte},
		{"request, service", false, Settings{FirstByteTimeout: time.Minute}, time.Minute},
		{"call", true, Settings{}, defaultStreamIdle},
		{"call, the transport's", true, Settings{FirstByteTimeout: defaultFirstByte, StreamIdleTimeout: time.Minute}, time.Minute},
		{"call, service", true, Settings{FirstByteTimeout: time.Second}, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			transport := TransportSettings{}.withDefaults()
			f := &flight{a: &Attempt{Settings: &tt.s, Stream: tt.stream}, settings: &transport}
			if got := f.firstByte(); got != tt.want {
				t.Errorf("firstByte() = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestClientOfACallLeaves: the backend learns of it, and it is nobody's failure.
func TestClientOfACallLeaves(t *testing.T) {
	begun, left := make(chan struct{}), make(chan struct{})
	b := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(left)
	})
	g := newGateway(t, newTransport, Settings{URLs: []string{b.URL}})
	front := newScriptedClient(t, g)
	front.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/", "content-type", "application/grpc")
	<-begun
	if got := g.tunnels.Len(); got != 1 {
		t.Errorf("open streams = %d, want the call before it has an answer", got)
	}
	front.reset(1, 8)
	<-left
	if x := g.exchange(t); x.Outcome.Failed != exchange.Client {
		t.Errorf("outcome = %+v, want the client's", x.Outcome)
	}
}

// TestSilentClientOfACall: it is told so, and the backend has not failed.
func TestSilentClientOfACall(t *testing.T) {
	b := backend(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	g := newGateway(t, newTransport, Settings{URLs: []string{b.URL}, BodyTimeout: time.Millisecond, StreamIdleTimeout: 50 * time.Millisecond})
	r, _ := message(t, g)
	resp, err := overHTTP2(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Grpc-Status"); resp.StatusCode != 200 || got != "4" {
		t.Errorf("answer = %d, grpc-status %q; want DEADLINE_EXCEEDED", resp.StatusCode, got)
	}
	if x := g.exchange(t); x.Outcome.Failed != exchange.Client || x.Refusal != "request_timeout" {
		t.Errorf("outcome = %q %+v, want the client's", x.Refusal, x.Outcome)
	}
}

// TestCallOverdue: a call that a backend ends because the client's own time for it is over is on the client's account.
func TestCallOverdue(t *testing.T) {
	b := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		panic(http.ErrAbortHandler) // RST_STREAM
	})
	for _, tt := range []struct {
		timeout, status string
		failed          exchange.Party
	}{
		{"1n", "4", exchange.Client},
		{"1H", "14", exchange.Upstream},
		{"99999999H", "14", exchange.Upstream},
		{"1x", "14", exchange.Upstream},
		{"", "14", exchange.Upstream},
	} {
		t.Run("timeout="+tt.timeout, func(t *testing.T) {
			g := newGateway(t, newTransport, Settings{URLs: []string{b.URL}})
			r, body := message(t, g)
			r.Header.Set("Grpc-Timeout", tt.timeout)
			_ = body.Close()
			resp, err := overHTTP2(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.Header.Get("Grpc-Status"); got != tt.status {
				t.Errorf("Grpc-Status = %q, want %q", got, tt.status)
			}
			if x := <-g.ended; x.Outcome.Failed != tt.failed {
				t.Errorf("failed = %v, want %v", x.Outcome.Failed, tt.failed)
			}
		})
	}
}
