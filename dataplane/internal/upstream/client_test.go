package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
)

// TestClientErrors: what is wrong with the client's body is answered as its error, or not at all, and is never the
// backend's failure.
func TestClientErrors(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			b := backend(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
			const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			tests := []struct {
				name     string
				request  string
				cut      bool // the client leaves
				status   int
				refusal  string
				canceled float64
			}{
				{"whole", chunked + "5\r\nhello\r\n0\r\n\r\n", false, 200, "", 0},
				{"malformed chunk", chunked + "5\r\nhello\r\nzz\r\n", false, 400, "bad_request", 0},
				{"too large, announced", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world", false, 413, "body_too_large", 0},
				{"too large, chunked", chunked + "b\r\nhello world\r\n0\r\n\r\n", false, 413, "body_too_large", 0},
				{"largest", chunked + "a\r\nhello worl\r\n0\r\n\r\n", false, 200, "", 0},
				{"cut short", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello", true, 0, "", 1},
				{"cut short, chunked", chunked + "5\r\nhel", true, 0, "", 1},
			}
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					g := newGateway(t, over, Settings{URLs: []string{b.URL}, MaxBody: 10, FailureThreshold: 1, ResetTimeout: time.Hour})
					conn, in := g.send(t, tt.request)
					if tt.cut {
						_ = conn.Close()
					}
					x := g.exchange(t)
					if x.Status != tt.status || x.Refusal != tt.refusal {
						t.Errorf("exchange = %d %q %+v, want %d %q", x.Status, x.Refusal, x.Outcome, tt.status, tt.refusal)
					}
					if want := tt.status != 200; (x.Outcome.Failed == exchange.Client) != want {
						t.Errorf("outcome = %+v, want the client's: %v", x.Outcome, want)
					}
					if got := g.cluster.Status()[0]; got.State != breaker.Closed {
						t.Errorf("watch = %+v, want it untouched", got)
					}
					if canceled, _ := g.counters(); canceled != tt.canceled {
						t.Errorf("canceled = %v, want %v", canceled, tt.canceled)
					}
					if tt.cut {
						return
					}
					resp, err := http.ReadResponse(in, nil)
					if err != nil || resp.StatusCode != tt.status {
						t.Fatalf("answer = %v, %v; want %d", resp, err, tt.status)
					}
					_ = resp.Body.Close()
				})
			}
		})
	}
}

// A client that stops in the middle of its body is told so, and the backend is not blamed.
func TestSilentBody(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			b := backend(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
			g := newGateway(t, over, Settings{URLs: []string{b.URL}, BodyTimeout: 10 * time.Millisecond, FailureThreshold: 1, ResetTimeout: time.Hour})
			r, _ := message(t, g) // over HTTP/2: HTTP/1.1 by net/http ends the request's context with a body that is late
			r.Header.Set("Content-Type", "text/plain")
			resp, err := overHTTP2(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if x := g.exchange(t); resp.StatusCode != http.StatusRequestTimeout || x.Refusal != "request_timeout" || x.Outcome.Failed != exchange.Client {
				t.Errorf("answer = %d, exchange %q %+v; want 408 on the client's account", resp.StatusCode, x.Refusal, x.Outcome)
			}
			if got := g.cluster.Status()[0]; got.State != breaker.Closed {
				t.Errorf("watch = %+v, want it untouched", got)
			}
		})
	}
}

// The rate counts the time that is spent waiting for the client only, once that is long enough to judge.
func TestSlowBody(t *testing.T) {
	tests := []struct {
		name   string
		read   int64
		waited time.Duration
		stream bool
		want   error
	}{
		{"fast", 2401, 10*time.Second + 1, false, nil},
		{"slow", 2390, 10*time.Second + 1, false, errBodyTooSlow},
		{"too early to tell", 0, 10 * time.Second, false, nil},
		{"stream", 0, time.Minute, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &Body{stream: tt.stream}
			if err := b.note(tt.read, nil, tt.waited); !errors.Is(err, tt.want) {
				t.Errorf("note(%d bytes after %v) = %v, want %v", tt.read, tt.waited, err, tt.want)
			}
		})
	}
}

func TestClientGone(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			asked, canceled := make(chan struct{}), make(chan struct{})
			b := backend(t, func(_ http.ResponseWriter, r *http.Request) {
				close(asked)
				<-r.Context().Done()
				close(canceled)
			})
			g := newGateway(t, over, Settings{URLs: []string{b.URL}, FailureThreshold: 1, ResetTimeout: time.Hour})
			conn, _ := g.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			<-asked
			_ = conn.Close()
			x := g.exchange(t)
			<-canceled // the backend's request ends too
			if x.Outcome.Failed != exchange.Client || x.Outcome.Reason != "client_gone" || x.Status != 0 || x.Refusal != "" {
				t.Errorf("exchange = %d %q %+v, want the client gone and nothing written", x.Status, x.Refusal, x.Outcome)
			}
			if n, _ := g.counters(); n != 1 || g.cluster.Status()[0].State != breaker.Closed {
				t.Errorf("canceled = %v, watch %+v; want 1 and untouched", n, g.cluster.Status()[0])
			}
		})
	}
}

func TestClientGoneInTheBody(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			b := backend(t, func(w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			g := newGateway(t, over, Settings{URLs: []string{b.URL}})
			conn, in := g.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			_ = resp.Body.Close()
			x := g.exchange(t)
			if n, bodyErrors := g.counters(); n != 1 || bodyErrors != 0 || x.Outcome.Failed != exchange.None {
				t.Errorf("canceled, bodyErrors = %v, %v, outcome %+v; want 1, 0, the head's success", n, bodyErrors, x.Outcome)
			}
		})
	}
}

// TestEarlyAnswer: a backend that answers before the end of the body ends the request, and what is left of the body is
// never taken for the next request.
func TestEarlyAnswer(t *testing.T) {
	g := newGateway(t, newClient, Settings{URLs: []string{rawBackend(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")}})
	_, in := g.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != 403 || string(body) != "no" || !resp.Close {
		t.Errorf("answer = %d %q %v close %v, want 403 and the end of the connection", resp.StatusCode, body, err, resp.Close)
	}
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		t.Errorf("after the answer: %q, want nothing", rest)
	}
	if x := g.exchange(t); x.Outcome.Failed != exchange.None {
		t.Errorf("outcome = %+v, want none failed", x.Outcome)
	}
}

// TestFullDuplex: a backend may answer while it reads.
func TestFullDuplex(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			b := backend(t, func(w http.ResponseWriter, r *http.Request) {
				rc := http.NewResponseController(w)
				if err := rc.EnableFullDuplex(); err != nil {
					t.Error(err)
				}
				w.Header().Set("Content-Type", "text/event-stream")
				_ = rc.Flush()
				buf := make([]byte, 100)
				for {
					n, err := r.Body.Read(buf)
					_, _ = w.Write(buf[:n])
					_ = rc.Flush()
					if err != nil {
						return
					}
				}
			})
			g := newGateway(t, over, Settings{URLs: []string{b.URL}})
			in, out := io.Pipe()
			resp, err := g.Client().Post(g.URL, "text/plain", in)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for _, word := range []string{"one", "two"} {
				if _, err := io.WriteString(out, word); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, len(word))
				if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != word {
					t.Fatalf("echo = %q, %v; want %q", buf, err, word)
				}
			}
			_ = out.Close()
			if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
				t.Errorf("end = %q, %v; want a clean one", rest, err)
			}
			g.exchange(t)
		})
	}
}

// TestRetryOnStaleConnection: a kept connection that the backend closes as the request arrives is not its failure.
func TestRetryOnStaleConnection(t *testing.T) {
	for _, tt := range []struct {
		method, body string
		status       int
	}{
		{"PUT", "", 200}, {"DELETE", "", 200}, {"GET", "", 200}, {"POST", "", 502}, {"PUT", "x", 502},
	} {
		t.Run(tt.method+" "+tt.body, func(t *testing.T) {
			e := &scripted{outcomes: []Outcome{{Stage: StaleConn, Failed: exchange.Gateway, Reason: 0, Err: errors.New("EOF")}}}
			e.outcomes[0].Reason = reasonOf(t, "upstream_error")
			g := newScripted(t, e, "http://a", "http://b")
			x, w := g.ask(t, tt.method, tt.body)
			if w.Code != tt.status || (tt.status == 502) != (x.Outcome.Failed == exchange.Gateway) {
				t.Errorf("answer = %d %+v, want %d", w.Code, x.Outcome, tt.status)
			}
			if tt.status == 200 && strings.Join(e.asked, " ") != "http://a http://a" {
				t.Errorf("attempts = %v, want the same URL once more", e.asked)
			}
			if got := g.cluster.Status()[0].LastError; got != "" {
				t.Errorf("watch = %q, want it not told", got)
			}
		})
	}
}

// TestStaleConnectionOnTheWire: the same on the wire, with a backend that ends its second request on every
// connection without a byte.
func TestStaleConnectionOnTheWire(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			if _, err := http.ReadRequest(in); err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				_, _ = http.ReadRequest(in)
			}
			_ = conn.Close()
		}
	})
	g := newGateway(t, newClient, Settings{URLs: []string{"http://" + l.Addr().String()}, FailureThreshold: 1, ResetTimeout: time.Hour})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	for _, tt := range []struct {
		method string
		status int
		failed exchange.Party
	}{{"GET", 200, exchange.None}, {"DELETE", 200, exchange.None}, {"POST", 502, exchange.Gateway}} {
		_, in := g.send(t, tt.method+" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if x := g.exchange(t); resp.StatusCode != tt.status || x.Outcome.Failed != tt.failed {
			t.Errorf("%s = %d %+v, want %d", tt.method, resp.StatusCode, x.Outcome, tt.status)
		}
	}
	if got := g.cluster.Status()[0]; got.State != breaker.Closed {
		t.Errorf("watch = %+v, want it untouched", got)
	}
}
