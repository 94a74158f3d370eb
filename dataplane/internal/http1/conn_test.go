package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/wire"
)

// client is a connection on which requests are sent and answered in turn.
type client struct {
	net.Conn
	r *bufio.Reader
}

func newClient(tb testing.TB, addr string) *client {
	tb.Helper()
	nc := dial(tb, addr)
	return &client{nc, bufio.NewReader(nc)}
}

func (c *client) send(tb testing.TB, text string) {
	tb.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		tb.Fatal(err)
	}
}

// answered is what an answer to GET says.
type answered struct {
	status int
	close  bool
	body   string
}

func (c *client) answer(tb testing.TB) answered {
	tb.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Close, string(b)}
}

// ended reports whether nothing more comes.
func (c *client) ended(tb testing.TB) {
	tb.Helper()
	if got, err := io.ReadAll(c.r); err != nil || len(got) > 0 {
		tb.Errorf("connection brought %q, %v, want its end", got, err)
	}
}

const simple = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func TestLastRequestOfConnection(t *testing.T) {
	addr := serve(t, &Server{
		Handler:  handler(func(http.ResponseWriter, *http.Request) {}),
		Settings: func() Settings { return Settings{MaxRequests: 2} },
	})
	got := ask(t, addr, simple+simple+simple, 1000)
	if first, second, _ := strings.Cut(got, "\r\n\r\n"); statuses(got) != "200 200" || strings.Contains(first, "close") || !strings.Contains(second, "Connection: close") {
		t.Errorf("answers %q, want two, the second with Connection: close", got)
	}
	addr = serve(t, &Server{Handler: handler(func(http.ResponseWriter, *http.Request) {}), Settings: func() Settings { return Settings{MaxAge: 1} }})
	c := newClient(t, addr)
	for {
		c.send(t, simple)
		if c.answer(t).close {
			break // the clock has ticked
		}
	}
	c.ended(t)
}

func TestExpectContinue(t *testing.T) {
	addr := serve(t, &Server{Handler: handler(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(w, r.Body) // the test compares
	})})
	c := newClient(t, addr)
	const head = "Host: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	c.send(t, "POST / HTTP/1.1\r\n"+head)
	if line, err := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("first line %q, %v, want 100 Continue", line, err)
	}
	if line, err := c.r.ReadString('\n'); line != "\r\n" {
		t.Fatalf("second line %q, %v, want none", line, err)
	}
	c.send(t, "hello")
	if got := c.answer(t); got.body != "hello" {
		t.Errorf("answer %+v, want hello", got)
	}
	c.send(t, "POST /refused HTTP/1.1\r\n"+head)
	if got := c.answer(t); got.status != http.StatusUnauthorized || !got.close {
		t.Errorf("refused: %+v, want 401 and no 100, then the end", got)
	}
	c.ended(t)
	all := ask(t, addr, "POST / HTTP/1.0\r\n"+head+"hello", 1000)
	if statuses(all) != "200" {
		t.Errorf("HTTP/1.0: answers %q, want no 100", all)
	}
}

// What is left of a body is read if it is little, and never parsed as a request.
func TestUnreadBody(t *testing.T) {
	addr := serve(t, &Server{Handler: handler(func(http.ResponseWriter, *http.Request) {})})
	little, much := strings.Repeat("x", 60<<10), strings.Repeat("x", 70<<10)
	tests := []struct{ name, request, want string }{
		{"little", post("Content-Length: 61440\r\n", little), "200 200"},
		{"much", post("Content-Length: 71680\r\n", much), "200"},
		{"little in a chunk", chunks("f000\r\n" + little + "\r\n0\r\n\r\n"), "200 200"},
		{"much in a chunk", chunks("11800\r\n" + much + "\r\n0\r\n\r\n"), "200"},
		{"malformed", chunks("x\r\n\r\n"), "200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, addr, tt.request+"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 1<<20)
			if statuses(got) != tt.want {
				t.Errorf("answers %q, want statuses %s", got, tt.want)
			}
		})
	}
}

// A goroutine that waits for more of the body is unblocked and awaited before the request ends.
func TestBodyReaderIsAwaited(t *testing.T) {
	errs := make(chan error, 1)
	addr := serve(t, &Server{Handler: handler(func(_ http.ResponseWriter, r *http.Request) {
		reading := make(chan struct{})
		go func() {
			_, err := r.Body.Read(make([]byte, 1))
			if err != nil {
				t.Error(err)
			}
			close(reading)
			_, err = r.Body.Read(make([]byte, 1))
			errs <- err
		}()
		<-reading
	})})
	c := newClient(t, addr)
	c.send(t, post("Content-Length: 5\r\n", "h"))
	if err := <-errs; err == nil {
		t.Error("Read of a body after the handler returned: no error")
	}
	c.answer(t)
}

func TestPanic(t *testing.T) {
	type report struct {
		value any
		stack string
	}
	reports := make(chan report, 1)
	addr := serve(t, &Server{
		Handler: handler(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/begun":
				w.(*Writer).Flush()
				panic(http.ErrAbortHandler)
			case "/panic":
				panic("boom")
			}
		}),
		Panicked: func(_ *exchange.Exchange, value any, stack []byte) { reports <- report{value, string(stack)} },
	})
	other := newClient(t, addr)
	other.send(t, simple)
	other.answer(t)
	if got := ask(t, addr, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n", 100); got != "" {
		t.Errorf("answer %q, want none", got)
	}
	if r := <-reports; r.value != "boom" || !strings.Contains(r.stack, "TestPanic") {
		t.Errorf("reported %v at %s, want boom in TestPanic", r.value, r.stack)
	}
	if got := ask(t, addr, "GET /begun HTTP/1.1\r\nHost: a\r\n\r\n", 100); !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("answer %q, want a head and no end of the body", got)
	}
	nc := dial(t, addr)
	if _, err := io.WriteString(nc, "GET /begun HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(nc); err == nil {
		t.Errorf("HTTP/1.0: %q with a clean end, want a reset", got)
	}
	other.send(t, simple)
	other.answer(t)
	if len(reports) > 0 {
		t.Error("an aborted answer was reported as a panic")
	}
}

// A client that goes away ends the request's context, also behind bytes of another request, and those that derive from it.
func TestClientGone(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, nc *net.TCPConn){
		"close": func(t *testing.T, nc *net.TCPConn) {
			t.Helper()
			if err := nc.Close(); err != nil {
				t.Error(err)
			}
		},
		"half-close behind a request": func(t *testing.T, nc *net.TCPConn) {
			t.Helper()
			if _, err := io.WriteString(nc, simple); err != nil {
				t.Error(err)
			}
			if err := nc.CloseWrite(); err != nil {
				t.Error(err)
			}
		},
	} {
		for _, portable := range []string{"", "/portable"} {
			t.Run(name+portable, func(t *testing.T) {
				waiting, done := make(chan struct{}), make(chan error, 1)
				addr := serve(t, &Server{portable: portable != "", Handler: handler(func(w http.ResponseWriter, r *http.Request) {
					if err := r.Context().Err(); err != nil {
						t.Errorf("context ended before: %v", err)
					}
					before := runtime.NumGoroutine()
					ctx, cancel := context.WithCancel(context.WithValue(r.Context(), client{}, 1))
					defer cancel()
					called := make(chan struct{})
					context.AfterFunc(ctx, func() { close(called) })
					if now := runtime.NumGoroutine(); now > before {
						t.Errorf("%d goroutines more wait for the context, want none", now-before)
					}
					close(waiting)
					<-called
					if !w.(*Writer).ClientGone() {
						t.Error("ClientGone = false, want true")
					}
					done <- context.Cause(ctx)
				})})
				nc := dial(t, addr)
				if _, err := io.WriteString(nc, simple); err != nil {
					t.Fatal(err)
				}
				<-waiting
				leave(t, nc)
				if err := <-done; !errors.Is(err, ErrClientGone) {
					t.Errorf("cause %v, want %v", err, ErrClientGone)
				}
			})
		}
	}
}

func TestContextOfRequest(t *testing.T) {
	kept := make(chan context.Context, 1)
	s := &Server{Handler: handler(func(_ http.ResponseWriter, r *http.Request) {
		x := exchange.From(r.Context())
		if x == nil || x.Scheme != "http" || x.ClientIP.String() != "127.0.0.1" || x.Start.IsZero() {
			t.Errorf("exchange %+v, want scheme, client and start", x)
		}
		if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); !ok || addr.Network() != "tcp" {
			t.Errorf("local address %v, want the listener's", addr)
		}
		kept <- r.Context()
	})}
	addr := serve(t, s)
	c := newClient(t, addr)
	for range 2 {
		c.send(t, simple)
		c.answer(t)
		ctx := <-kept
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("after the handler: %v, cause %v, want canceled", ctx.Err(), context.Cause(ctx))
		}
	}
}

// A request that is recycled has nothing of the one before, and one that is not is never used again.
func TestRecycle(t *testing.T) {
	kept, recycled := map[*http.Request]bool{}, map[*http.Request]bool{} // used on the connection's goroutine alone
	again := 0
	addr := serve(t, &Server{Handler: handler(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.From(r.Context())
		if r.PathValue("id") != "" || r.Header.Get("X") != r.URL.RawQuery || w.Header().Get("X") != "" || x.Service != "" || x.Status != 0 || r.Pattern != "" {
			t.Errorf("left from before: path value %q, header %v, response header %v, exchange %+v", r.PathValue("id"), r.Header, w.Header(), x)
		}
		r.SetPathValue("id", "1")
		r.Pattern, x.Service = "p", "s"
		w.Header().Set("X", "y")
		if kept[r] {
			t.Error("a request was used again without leave")
		}
		if recycled[r] {
			again++
		}
		if r.URL.Path == "/recycle" {
			recycled[r] = true
			w.(*Writer).Recycle()
		} else {
			kept[r] = true
		}
	})})
	c := newClient(t, addr)
	for range 20 { // a pool may lose some
		for _, target := range []string{"/", "/", "/recycle?a", "/recycle", "/recycle?b", "/", "/?c"} {
			lines := ""
			if _, query, found := strings.Cut(target, "?"); found {
				lines = "X: " + query + "\r\n"
			}
			c.send(t, "GET "+target+" HTTP/1.1\r\nHost: a\r\n"+lines+"\r\n")
			c.answer(t)
		}
	}
	if again == 0 {
		t.Error("no request was ever used again")
	}
}

func TestRejected(t *testing.T) {
	rejected := make(chan struct{}, 1)
	s := &Server{
		Handler:  handler(func(http.ResponseWriter, *http.Request) {}),
		Settings: func() Settings { return Settings{MaxConns: 1} },
		Rejected: func() { rejected <- struct{}{} },
	}
	addr := serve(t, s)
	first := newClient(t, addr)
	first.send(t, simple)
	first.answer(t)
	newClient(t, addr).ended(t)
	<-rejected
	for open, busy := s.Count(); busy != 0; open, busy = s.Count() { // the answer is out before its request has ended
		if open != 1 {
			t.Fatalf("Count = %d, %d, want 1", open, busy)
		}
		runtime.Gosched()
	}
	first.send(t, simple)
	first.answer(t)
}

func TestHTTP2ByPriorKnowledge(t *testing.T) {
	got := make(chan string, 1)
	addr := serve(t, &Server{Handler: http.NotFoundHandler(), HTTP2: givenAway(func(nc net.Conn) {
		b, err := io.ReadAll(nc)
		if err != nil {
			t.Error(err)
		}
		got <- string(b)
	})})
	nc := dial(t, addr)
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	if _, err := io.WriteString(nc, preface+"frames"); err != nil {
		t.Fatal(err)
	}
	if err := nc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != preface+"frames" {
		t.Errorf("HTTP/2 was given %q, want all that came", text)
	}
}

func TestRefuseHook(t *testing.T) {
	codes := make(chan string, 2)
	addr := serve(t, &Server{Handler: http.NotFoundHandler(), Refuse: func(w http.ResponseWriter, r *http.Request, v *wire.Violation) {
		codes <- r.Method + " " + v.Code
		w.WriteHeader(v.Status)
	}})
	if got := ask(t, addr, "POST / HTTP/1.1\r\nHost: a b\r\n\r\n"+simple, 100); statuses(got) != "400" || !strings.Contains(got, "Connection: close") {
		t.Errorf("answers %q, want a 400 and the end", got)
	}
	if code := <-codes; code != "POST bad_host" {
		t.Errorf("refused with %q, want POST bad_host", code)
	}
}
