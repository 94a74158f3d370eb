package upstream

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
)

func TestRequestToTheBackend(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			var got *http.Request
			b := backend(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
			g := newGateway(t, over, Settings{URLs: []string{b.URL + "/base/"}, NoUpgrade: true})
			_, in := g.send(t, "GET /a%2Fb%20c;p?x=[1]|2&y HTTP/1.1\r\nHost: api.example\r\nConnection: X-Drop, close\r\nX-Drop: 1\r\n"+
				"Keep-Alive: 5\r\nUpgrade: h2c\r\nTE: gzip\r\nProxy-Authorization: x\r\nCookie: a=b\r\n\r\n")
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if want := "/base/a%2Fb%20c;p?x=[1]|2&y"; got.RequestURI != want || got.Host != "api.example" {
				t.Errorf("request = %s at %s, want %s at api.example", got.RequestURI, got.Host, want)
			}
			want := http.Header{
				"Cookie": {"a=b"}, "Via": {"1.1 apigateway"}, "X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"api.example"},
				"X-Forwarded-Proto": {"http"}, "X-Request-Id": {"request-1"},
			}
			if diff := cmp.Diff(want, got.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostUpstream(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			var got string
			b := backend(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Host })
			g := newGateway(t, over, Settings{URLs: []string{b.URL}, HostUpstream: true})
			g.get(t)
			if want := strings.TrimPrefix(b.URL, "http://"); got != want {
				t.Errorf("Host = %s, want %s", got, want)
			}
		})
	}
}

func TestResponses(t *testing.T) {
	tests := []struct {
		name    string
		answer  string // of the backend
		method  string
		status  int
		header  http.Header // that must be there; nil value: must not
		body    string
		failed  exchange.Party
		refusal string
	}{
		{
			"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", "GET", 200,
			http.Header{"Content-Length": {"5"}, "Content-Type": nil},
			"hello", exchange.None, "",
		},
		{"to the end of the connection", "HTTP/1.1 200 OK\r\n\r\nhello", "GET", 200, http.Header{"Content-Length": nil}, "hello", exchange.None, ""},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", "GET", 204, http.Header{"Content-Length": nil}, "", exchange.None, ""},
		{"not modified", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", "GET", 304, http.Header{"Etag": {`"x"`}}, "", exchange.None, ""},
		{"head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 200, http.Header{"Content-Length": {"5"}}, "", exchange.None, ""},
		{"server error", "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", "GET", 500, nil, "oops", exchange.Upstream, ""},
		{"client error", "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", "GET", 404, nil, "no", exchange.None, ""},
		{
			"hop by hop", "HTTP/1.1 200 OK\r\nConnection: X-Drop\r\nX-Drop: 1\r\nKeep-Alive: 1\r\nX-Keep: 1\r\nContent-Length: 0\r\n\r\n", "GET", 200,
			http.Header{"X-Drop": nil, "Keep-Alive": nil, "X-Keep": {"1"}},
			"", exchange.None, "",
		},
		{"no HTTP", "SSH-2.0-OpenSSH\r\n", "GET", 502, nil, "Upstream Error\n", exchange.Upstream, "upstream_error"},
		{"nothing", "", "GET", 502, nil, "Upstream Error\n", exchange.Upstream, "upstream_error"},
		{"odd status", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", "GET", 502, nil, "Upstream Error\n", exchange.Upstream, "upstream_error"},
		{
			"unasked switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "GET", 502, nil,
			"Upstream Error\n", exchange.Upstream, "upstream_error",
		},
		{
			"many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: 1\r\n", maxFields+1) + "Content-Length: 0\r\n\r\n", "GET", 502, nil,
			"Upstream Error\n", exchange.Upstream, "upstream_error",
		},
		{
			"large head", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 64<<10) + "\r\nContent-Length: 0\r\n\r\n", "GET", 502, nil,
			"Upstream Error\n", exchange.Upstream, "upstream_error",
		},
		{
			"8 interim", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 8) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", 200, nil, "ok",
			exchange.None, "",
		},
		{
			"9 interim", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 9) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", 502, nil,
			"Upstream Error\n", exchange.Upstream, "upstream_error",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, newClient, Settings{URLs: []string{rawBackend(t, tt.answer)}})
			_, in := g.send(t, tt.method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, err := http.ReadResponse(in, &http.Request{Method: tt.method})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || string(body) != tt.body {
				t.Errorf("answer = %d %q %v, want %d %q", resp.StatusCode, body, err, tt.status, tt.body)
			}
			for name, want := range tt.header {
				if diff := cmp.Diff(want, resp.Header[name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			x := g.exchange(t)
			if x.Outcome.Failed != tt.failed || x.Refusal != tt.refusal || x.Status != tt.status {
				t.Errorf("exchange = %d %q %+v, want %d %q %v", x.Status, x.Refusal, x.Outcome, tt.status, tt.refusal, tt.failed)
			}
		})
	}
}

func TestEarlyHints(t *testing.T) {
	const answer = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	tests := []struct {
		proto string
		first int
	}{{"HTTP/1.1", 103}, {"HTTP/1.0", 200}}
	for _, tt := range tests {
		t.Run(tt.proto, func(t *testing.T) {
			g := newGateway(t, newClient, Settings{URLs: []string{rawBackend(t, answer)}})
			_, in := g.send(t, "GET / "+tt.proto+"\r\nHost: a\r\n\r\n")
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != tt.first {
				t.Fatalf("first response = %v, %v; want %d", resp, err, tt.first)
			}
			_ = resp.Body.Close()
			if tt.first == 200 {
				return
			}
			if got := resp.Header.Get("Link"); got != "</a.css>" {
				t.Errorf("Link of the 103 = %q", got)
			}
			final, err := http.ReadResponse(in, nil)
			if err != nil || final.StatusCode != 200 || final.Header.Get("Link") != "" {
				t.Errorf("final response = %v, %v; want 200 without the hints", final, err)
			}
			_ = final.Body.Close()
		})
	}
}

// TestTruncatedBodyAborts: what the backend left unfinished must never look finished to the client.
func TestTruncatedBodyAborts(t *testing.T) {
	for name, answer := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, newClient, Settings{URLs: []string{rawBackend(t, answer)}})
			_, in := g.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp, err := http.ReadResponse(in, nil); err == nil {
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err == nil {
					t.Errorf("body = %q with a clean end, want an aborted connection", body)
				}
			}
			x := g.exchange(t)
			if x.Outcome.Failed != exchange.None || g.cluster.Status()[0].State != breaker.Closed {
				t.Errorf("outcome = %+v, want the head's success", x.Outcome)
			}
			if canceled, bodyErrors := g.counters(); canceled != 0 || bodyErrors != 1 {
				t.Errorf("canceled, bodyErrors = %v, %v; want 0, 1", canceled, bodyErrors)
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			silent := backend(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-release
			})
			t.Cleanup(func() { close(release) })
			tests := []struct {
				name string
				s    Settings
				body string
			}{
				{"first byte", Settings{FirstByteTimeout: 20 * time.Millisecond}, ""},
				{"first byte, behind a body", Settings{FirstByteTimeout: 20 * time.Millisecond}, "hello"},
				{"whole request", Settings{Timeout: 20 * time.Millisecond}, ""},
			}
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					tt.s.URLs = []string{silent.URL}
					g := newGateway(t, over, tt.s)
					resp, err := g.Client().Post(g.URL, "text/plain", strings.NewReader(tt.body))
					if err != nil {
						t.Fatal(err)
					}
					_ = resp.Body.Close()
					x := g.exchange(t)
					if resp.StatusCode != 504 || x.Refusal != "upstream_timeout" || x.Outcome.Failed != exchange.Upstream {
						t.Errorf("answer = %d, %q %+v; want 504 upstream_timeout", resp.StatusCode, x.Refusal, x.Outcome)
					}
					if got := g.cluster.Status()[0].LastError; got == "" {
						t.Error("the watch was not told")
					}
				})
			}
		})
	}
}

// TestOwnDeadline: a deadline that own middleware sets is a timeout, not a client that left.
func TestOwnDeadline(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			silent := backend(t, func(http.ResponseWriter, *http.Request) { <-release })
			t.Cleanup(func() { close(release) })
			g := newGateway(t, over, Settings{URLs: []string{silent.URL}})
			h, err := g.cluster.Handler(Settings{URLs: []string{silent.URL}})
			if err != nil {
				t.Fatal(err)
			}
			x := exchange.New(t.Context())
			ctx, cancel := context.WithTimeout(x, time.Millisecond)
			defer cancel()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
			if w.Code != 504 || x.Outcome.Failed != exchange.Upstream {
				t.Errorf("answer = %d %+v, want 504", w.Code, x.Outcome)
			}
		})
	}
}

func TestStreamIsFlushedAndHasItsOwnTimeout(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			next := make(chan struct{})
			b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				w.(http.Flusher).Flush()
				for range next {
					_, _ = io.WriteString(w, "data: x\n\n")
					w.(http.Flusher).Flush()
				}
				w.(http.Flusher).Flush()
			})
			g := newGateway(t, over, Settings{URLs: []string{b.URL}, StreamIdleTimeout: time.Minute})
			resp, err := g.Client().Get(g.URL) // returns with the head, before any event
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			in := bufio.NewReader(resp.Body)
			for range 3 {
				next <- struct{}{}
				if line, err := in.ReadString('\n'); err != nil || line != "data: x\n" {
					t.Fatalf("event = %q, %v", line, err)
				}
				_, _ = in.ReadString('\n')
			}
			if got := g.tunnels.Len(); got != 1 {
				t.Errorf("open streams = %d, want 1", got)
			}
			close(next)
			_, _ = io.Copy(io.Discard, in)
			g.exchange(t)
			if got := g.tunnels.Len(); got != 0 {
				t.Errorf("open streams after the end = %d, want 0", got)
			}
		})
	}
}

func TestSilentStreamEnds(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			b := backend(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			g := newGateway(t, over, Settings{URLs: []string{b.URL}, StreamIdleTimeout: 20 * time.Millisecond})
			resp, err := g.Client().Get(g.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("a stream that fell silent ended cleanly, want an abort")
			}
			g.exchange(t)
		})
	}
}

func TestDialErrorIsShort(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			dead := deadURL(t)
			g := newGateway(t, over, Settings{URLs: []string{dead}})
			if status, _ := g.get(t); status != http.StatusBadGateway {
				t.Errorf("status = %d, want 502", status)
			}
			want := strings.TrimPrefix(dead, "http://") + ": connection refused"
			if x := g.exchange(t); x.Outcome.Err == nil || x.Outcome.Err.Error() != want {
				t.Errorf("error = %v, want %s", x.Outcome.Err, want)
			}
		})
	}
}
