package upstream

import (
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

// answerOK answers the requests of a connection with their bodies.
func answerOK(c *scriptConn) {
	for {
		flags, stream, _, ok := c.next(frameHeaders)
		if !ok {
			return
		}
		body := ""
		if flags&flagEnd == 0 {
			if body, ok = c.body(); !ok {
				return
			}
		}
		c.headers(stream, false, ":status", "200")
		c.write(frameData, flagEnd, stream, []byte(body))
	}
}

func post(t *testing.T, g *gateway, method, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := g.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestUnprocessed: what a backend has not begun with goes to it again on another connection, then to the next URL, whole.
func TestUnprocessed(t *testing.T) {
	const refused = 7
	goAway := func(c *scriptConn, _ uint32) {
		c.goAway(0, 0)
		c.wait()
	}
	refuse := func(c *scriptConn, stream uint32) { c.reset(stream, refused) }
	tests := []struct {
		name   string
		body   string
		say    func(c *scriptConn, stream uint32)
		times  int // it says so
		second bool
		status int
		conns  int
	}{
		{"GOAWAY", "hello", goAway, 1, false, 200, 2},
		{"GOAWAY, no body", "", goAway, 1, false, 200, 2},
		{"GOAWAY for ever", "hello", goAway, 99, false, 502, 2},
		{"GOAWAY for ever, another URL", "hello", goAway, 99, true, 200, 2},
		{"REFUSED_STREAM", "hello", refuse, 1, false, 200, 1},
		{"REFUSED_STREAM for ever", "hello", refuse, 99, false, 502, 1},
		{"REFUSED_STREAM for ever, another URL", "hello", refuse, 99, true, 200, 1},
		{"REFUSED_STREAM, large body", strings.Repeat("x", maxReplay+1), refuse, 1, true, 502, 1},
		{"GOAWAY with an error on the first stream", "hello", func(c *scriptConn, _ uint32) { c.goAway(0, 2) }, 1, true, 502, 1},
		{"another reset", "hello", func(c *scriptConn, stream uint32) { c.reset(stream, 2) }, 1, true, 502, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			times := make(chan struct{}, tt.times)
			for range tt.times {
				times <- struct{}{}
			}
			first := newScript(t, nil, func(c *scriptConn, _ int) {
				for {
					select {
					case <-times:
					default:
						answerOK(c)
						return
					}
					stream, ok := c.request()
					if !ok {
						return
					}
					if tt.body != "" {
						if _, ok := c.body(); !ok { // so that it has to be sent again
							return
						}
					}
					tt.say(c, stream)
				}
			})
			s := Settings{URLs: []string{first.url}}
			if tt.second {
				s.URLs = append(s.URLs, newScript(t, nil, func(c *scriptConn, _ int) { answerOK(c) }).url)
			}
			g := newGateway(t, newTransport, s)
			status, body := post(t, g, http.MethodPost, tt.body)
			if status != tt.status || status == 200 && body != tt.body {
				t.Errorf("answer = %d %.20q, want %d and the request's body", status, body, tt.status)
			}
			if got := first.count(); got != tt.conns {
				t.Errorf("connections = %d, want %d", got, tt.conns)
			}
		})
	}
}

// TestUnprocessedWhileTheClientIsAwaited: an attempt that failed while it waited for more of the body does not keep the
// next one from what is here, nor take what comes.
func TestUnprocessedWhileTheClientIsAwaited(t *testing.T) {
	s := newScript(t, nil, func(c *scriptConn, n int) {
		stream, ok := c.request()
		if !ok {
			return
		}
		_, _, first, _ := c.next(frameData)
		if n == 1 {
			c.goAway(0, 0)
			c.wait()
			return
		}
		c.headers(stream, false, ":status", "200")
		c.write(frameData, 0, stream, first)
		rest, _ := c.body()
		c.write(frameData, flagEnd, stream, []byte(rest))
		c.wait()
	})
	g := newGateway(t, newTransport, Settings{URLs: []string{s.url}})
	conn, in := g.send(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "hello" {
		t.Fatalf("echo = %q, %v", first, err)
	}
	if _, err := io.WriteString(conn, "6\r\n world\r\n0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != " world" {
		t.Errorf("echo = %q, %v; want what was sent later", rest, err)
	}
}

// TestStaleConnectionH2: a connection that breaks under its second request is not the backend's failure, and an idempotent
// request without a body goes on another one.
func TestStaleConnectionH2(t *testing.T) {
	tests := []struct {
		method, body string
		status       int
		failed       exchange.Party
	}{
		{"GET", "", 200, exchange.None},
		{"POST", "", 502, exchange.Gateway},
		{"PUT", "hello", 502, exchange.Gateway},
	}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			s := newScript(t, nil, func(c *scriptConn, n int) {
				stream, ok := c.request()
				if !ok {
					return
				}
				c.headers(stream, true, ":status", "200")
				if n == 1 {
					_, _ = c.request()
					return // the connection ends without an answer
				}
				c.wait()
			})
			g := newGateway(t, newTransport, Settings{URLs: []string{s.url}, FailureThreshold: 1, ResetTimeout: time.Hour})
			post(t, g, http.MethodGet, "")
			g.exchange(t)
			status, _ := post(t, g, tt.method, tt.body)
			if x := g.exchange(t); status != tt.status || x.Outcome.Failed != tt.failed {
				t.Errorf("answer = %d %+v, want %d", status, x.Outcome, tt.status)
			}
			if got := g.cluster.Status()[0]; got.State != breaker.Closed {
				t.Errorf("watch = %+v, want it untouched", got)
			}
		})
	}
}

// TestSilentConnectionIsLeft: after a request to which nothing was said at all, the next one goes on another connection.
func TestSilentConnectionIsLeft(t *testing.T) {
	s := newScript(t, nil, func(c *scriptConn, n int) {
		if n == 1 {
			c.wait()
			return
		}
		answerOK(c)
	})
	g := newGateway(t, newTransport, Settings{URLs: []string{s.url}, FirstByteTimeout: 50 * time.Millisecond})
	if status, _ := post(t, g, http.MethodGet, ""); status != 504 {
		t.Errorf("first answer = %d, want 504", status)
	}
	if status, _ := post(t, g, http.MethodGet, ""); status != 200 {
		t.Errorf("second answer = %d, want 200", status)
	}
}

// TestRequestHeadOverTheBackendsLimit: what the backend would refuse is the client's doing.
func TestRequestHeadOverTheBackendsLimit(t *testing.T) {
	s := newScript(t, setting(6, 400), func(c *scriptConn, _ int) { answerOK(c) })
	g := newGateway(t, newTransport, Settings{URLs: []string{s.url}, FailureThreshold: 1, ResetTimeout: time.Hour})
	_, in := g.send(t, "GET / HTTP/1.1\r\nHost: a\r\nX-A: "+strings.Repeat("a", 400)+"\r\n\r\n")
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 431 {
		t.Fatalf("answer = %v, %v; want 431", resp, err)
	}
	_ = resp.Body.Close()
	if x := g.exchange(t); x.Outcome.Failed != exchange.Client || g.cluster.Status()[0].State != breaker.Closed {
		t.Errorf("outcome = %+v, want the client's", x.Outcome)
	}
}

// TestStreamLimit: what a backend does not allow on one connection goes on another.
func TestStreamLimit(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	s := newScript(t, setting(3, 1), func(c *scriptConn, _ int) {
		stream, ok := c.request()
		if !ok {
			return
		}
		asked <- struct{}{}
		<-answer
		c.headers(stream, true, ":status", "200")
		c.wait()
	})
	g := newGateway(t, newTransport, Settings{URLs: []string{s.url}})
	done := make(chan int)
	for range 3 {
		go func() {
			resp, err := g.Client().Get(g.URL)
			if err != nil {
				done <- 0
				return
			}
			_ = resp.Body.Close()
			done <- resp.StatusCode
		}()
	}
	for range 3 {
		<-asked
	}
	close(answer)
	for range 3 {
		if status := <-done; status != 200 {
			t.Errorf("answer = %d, want 200", status)
		}
	}
	if got := s.count(); got < 3 || got > 5 { // one more each time that two wait for one is no harm
		t.Errorf("connections = %d, want one for each stream", got)
	}
}

// TestNotHTTP2: a backend that speaks something else is one that cannot be reached, so that the next URL gets the request.
func TestNotHTTP2(t *testing.T) {
	one := rawBackend(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	g := newGateway(t, newTransport, Settings{URLs: []string{one, named(t, "two").URL}, FailureThreshold: 1, ResetTimeout: time.Hour})
	if status, body := post(t, g, http.MethodPost, "hello"); status != 200 || body != "two" {
		t.Errorf("answer = %d %q, want that of the second URL", status, body)
	}
	if got := g.cluster.Status()[0]; got.State != breaker.Open {
		t.Errorf("watch = %+v, want it open", got)
	}
}

// TestRequestIsItsOwn: the client's header serves another request while net/http may still write this one.
func TestRequestIsItsOwn(t *testing.T) {
	values := []string{"1", "2"}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{"X-A": values}
	b, err := parseBackend("h2c://a")
	if err != nil {
		t.Fatal(err)
	}
	f := &flight{r: r, a: &Attempt{Backend: &b, Settings: &Settings{}, Path: "/", x: exchange.New(t.Context())}}
	out := f.request(t.Context())
	clear(values)
	if diff := cmp.Diff([]string{"1", "2"}, out.Header["X-A"]); diff != "" {
		t.Errorf("header after the client's was used again (-want +got):\n%s", diff)
	}
}

// TestEarlyAnswerH2: an answer without a body is not held up by a client that is still sending, nor by a backend that does
// not end it.
func TestEarlyAnswerH2(t *testing.T) {
	for name, end := range map[string]bool{"ended": true, "not ended": false} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, nil, func(c *scriptConn, _ int) {
				if stream, ok := c.request(); ok {
					c.headers(stream, end, ":status", "204")
					c.wait()
				}
			})
			g := newGateway(t, newTransport, Settings{URLs: []string{s.url}})
			_, in := g.send(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != 204 {
				t.Fatalf("answer = %v, %v; want 204", resp, err)
			}
			_ = resp.Body.Close()
			if x := g.exchange(t); x.Outcome.Failed != exchange.None {
				t.Errorf("outcome = %+v, want success", x.Outcome)
			}
		})
	}
}
