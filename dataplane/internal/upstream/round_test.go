package upstream

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/upstream/h1"
	"apigateway/dataplane/internal/wire"
)

// noise returns that many bytes that do not repeat.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// mirror is a backend that sends back what it gets.
func mirror(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if r.Header.Get("X-Chunked") == "" {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	_, _ = w.Write(body)
}

// TestBodies: bodies of every size and framing arrive as they were sent, many at once, over connections that are used
// again.
func TestBodies(t *testing.T) {
	sizes := []int{1, 100, 4 << 10, 9 << 10, 32 << 10, 100 << 10, 1<<20 + 7}
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, over, Settings{URLs: []string{backend(t, mirror).URL}})
			var wg sync.WaitGroup
			for i, size := range sizes {
				for framing := range 4 {
					wg.Go(func() {
						sent := noise(size)
						for range 3 {
							var body io.Reader = bytes.NewReader(sent)
							if framing&1 != 0 {
								body = io.MultiReader(body) // of unknown length
							}
							req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL, body)
							if err != nil {
								t.Error(err)
								return
							}
							if framing&2 != 0 {
								req.Header.Set("X-Chunked", "1")
							}
							resp, err := g.Client().Do(req)
							if err != nil {
								t.Error(err)
								return
							}
							got, err := io.ReadAll(resp.Body)
							_ = resp.Body.Close()
							if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
								t.Errorf("size %d (%d), framing %d: %d bytes came back, %v", size, i, framing, len(got), err)
							}
						}
					})
				}
			}
			wg.Wait()
		})
	}
}

// clientFor returns an engine that trusts a TLS server.
func clientFor(t *testing.T, s *httptest.Server) *Client {
	t.Helper()
	settings := TransportSettings{ConnectTimeout: 2 * time.Second}.withDefaults()
	roots := x509.NewCertPool()
	if s != nil {
		roots.AddCert(s.Certificate())
	}
	c := &Client{pool: h1.NewPool(settings.pool(), roots)}
	c.settings.Store(&settings)
	t.Cleanup(c.Close)
	return c
}

// attempt makes one attempt with a body at a URL and returns how it ended and what was answered.
func attempt(t *testing.T, e Engine, url string, body io.ReadCloser, length int64, s Settings) (Outcome, *httptest.ResponseRecorder) {
	t.Helper()
	b, err := parseBackend(url)
	if err != nil {
		t.Fatal(err)
	}
	x := exchange.New(t.Context())
	r := httptest.NewRequest(http.MethodPost, "/", body).WithContext(x)
	r.ContentLength = length
	w := httptest.NewRecorder()
	a := Attempt{Backend: &b, Settings: &s, Path: "/", Tunnels: &Tunnels{}, Body: newBody(w, r, &s, false), x: x}
	return e.Attempt(w, r, &a), w
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(mirror))

	s.StartTLS()
	defer s.Close()
	e := clientFor(t, s)
	for _, size := range []int{0, 5, 300 << 10} {
		for range 2 {
			sent := noise(size)
			o, w := attempt(t, e, s.URL, io.NopCloser(bytes.NewReader(sent)), int64(size), Settings{})
			if o.Failed != exchange.None || w.Code != 200 || !bytes.Equal(w.Body.Bytes(), sent) {
				t.Errorf("size %d: %d, %d bytes, %+v", size, w.Code, w.Body.Len(), o)
			}
		}
	}
	if got := e.pool.Idle(); got != 1 {
		t.Errorf("idle connections = %d, want the one that served all", got)
	}
}

func TestTLSRefused(t *testing.T) {
	stranger := httptest.NewUnstartedServer(http.HandlerFunc(mirror))
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	plain := rawBackend(t, "")
	onlyHTTP2 := httptest.NewUnstartedServer(http.HandlerFunc(mirror))
	onlyHTTP2.Config.ErrorLog = log.New(io.Discard, "", 0)
	onlyHTTP2.TLS = &tls.Config{NextProtos: []string{"h2"}}
	onlyHTTP2.StartTLS()
	defer onlyHTTP2.Close()
	for name, url := range map[string]string{
		"unknown certificate": stranger.URL, "no TLS": strings.Replace(plain, "http:", "https:", 1), "another protocol": onlyHTTP2.URL,
	} {
		o, _ := attempt(t, clientFor(t, nil), url, http.NoBody, 0, Settings{})
		if o.Failed != exchange.Upstream || o.Stage != Unmade || o.Err == nil {
			t.Errorf("%s: %+v, want no connection", name, o)
		}
	}
}

// TestSecondRepeatIsFresh: a backend that ends two idle connections at once costs no request.
func TestSecondRepeatIsFresh(t *testing.T) {
	url, conns := onceEach(t)
	e := clientFor(t, nil)
	first := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 { // two at a time need two connections
		wg.Go(func() {
			<-first
			if o, _ := attempt(t, e, url, http.NoBody, 0, Settings{}); o.Failed != exchange.None {
				t.Errorf("outcome = %+v", o)
			}
		})
	}
	close(first)
	wg.Wait()
	b, err := parseBackend(url)
	if err != nil {
		t.Fatal(err)
	}
	x := exchange.New(t.Context())
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(x)
	a := Attempt{Backend: &b, Settings: &Settings{}, Path: "/", Tunnels: &Tunnels{}, x: x}
	o := e.Attempt(httptest.NewRecorder(), r, &a)
	if o.Stage != StaleConn || o.Failed != exchange.Gateway {
		t.Fatalf("outcome on a connection that breaks = %+v, want it called stale", o)
	}
	before := conns()
	if o = e.Attempt(httptest.NewRecorder(), r, &a); o.Failed != exchange.None || conns() != before+1 {
		t.Errorf("repeated: %+v over %d new connections, want success over one", o, conns()-before)
	}
}

// onceEach answers the first request of each connection, the first two together, and ends the connection at the second.
func onceEach(t *testing.T) (url string, conns func() int) {
	t.Helper()
	var mu sync.Mutex
	seen, both := 0, make(chan struct{})
	s := httptest.NewUnstartedServer(nil)
	served := map[string]bool{}
	s.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		again := served[r.RemoteAddr]
		served[r.RemoteAddr] = true
		if !again {
			if seen++; seen == 2 {
				close(both)
			}
		}
		mu.Unlock()
		if again {
			panic(http.ErrAbortHandler)
		}
		<-both
	})
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(served)
	}
}

// TestUnwritable: what own middleware puts into a request cannot become another request, and is not the backend's fault.
func TestUnwritable(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"method": func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: " },
		"host":   func(r *http.Request) { r.Host = "a\r\nX: y" },
		"name":   func(r *http.Request) { r.Header["X: y\r\nZ"] = []string{"v"} },
		"value":  func(r *http.Request) { r.Header["X"] = []string{"a\r\nY: z"} },
		"query":  func(r *http.Request) { r.URL.RawQuery = "a b" },
	} {
		b, err := parseBackend(rawBackend(t, ok200+"\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		x := exchange.New(t.Context())
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(x)
		change(r)
		a := Attempt{Backend: &b, Settings: &Settings{}, Path: "/", Tunnels: &Tunnels{}, x: x}
		o := clientFor(t, nil).Attempt(httptest.NewRecorder(), r, &a)
		if o.Failed != exchange.Gateway || o.Reason != refusal.InternalError || !errors.Is(o.Err, h1.ErrRequest) && !errors.Is(o.Err, wire.ErrField) {
			t.Errorf("%s: %+v, want the gateway's own error", name, o)
		}
	}
}

// TestAnnouncedLength: own middleware that changes the body but not its length is found out.
func TestAnnouncedLength(t *testing.T) {
	url := backend(t, mirror).URL
	for body, length := range map[string]int64{"hello": 6, "hello!": 5} {
		o, _ := attempt(t, clientFor(t, nil), url, io.NopCloser(strings.NewReader(body)), length, Settings{})
		if o.Failed != exchange.Gateway || !errors.Is(o.Err, errBodyLength) {
			t.Errorf("%q announced as %d: %+v, want it refused", body, length, o)
		}
	}
}

// TestSilentInTheBody: a backend that falls silent is cut off.
func TestSilentInTheBody(t *testing.T) {
	url, _ := counting(t, "", ok200+"Content-Length: 100000\r\n\r\nhello")
	e := NewClient(TransportSettings{ReadTimeout: 20 * time.Millisecond})
	defer e.Close()
	o, w := attempt(t, e, url, http.NoBody, 0, Settings{})
	if o.Failed != exchange.Upstream || !errors.Is(o.Err, errSilent) || w.Body.String() != "hello" {
		t.Errorf("%q, %+v; want the backend's silence", w.Body, o)
	}
}

// moving is a request's body on a TCP connection, which moves past the process.
type moving struct {
	conn  *net.TCPConn
	left  int64
	moved int64
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.conn.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	return n, err
}

func (m *moving) Close() error { return nil }

func (m *moving) WriteNTo(dst io.Writer, limit int64) (int64, error) {
	n, err := io.CopyN(dst, m.conn, min(limit, m.left))
	m.left -= n
	m.moved += n
	switch {
	case errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	case err == nil && m.left == 0:
		return n, io.EOF
	}
	return n, err
}

// tcpPair returns the two ends of a connection.
func tcpPair(tb testing.TB) (near, far *net.TCPConn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	in, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = out.Close(), in.Close() })
	return in.(*net.TCPConn), out.(*net.TCPConn)
}

func TestMovedBody(t *testing.T) {
	sent := noise(5<<20 + 3)
	near, far := tcpPair(t)
	go func() { _, _ = far.Write(sent) }()
	body := &moving{conn: near, left: int64(len(sent))}
	o, w := attempt(t, clientFor(t, nil), backend(t, mirror).URL, body, body.left, Settings{})
	if o.Failed != exchange.None || !bytes.Equal(w.Body.Bytes(), sent) || body.moved != int64(len(sent)) {
		t.Errorf("%d bytes came back, %d were moved, %+v", w.Body.Len(), body.moved, o)
	}
}

// TestEarlyAnswerToAMovedBody: a backend that answers and takes no more of the body holds nobody up.
func TestEarlyAnswerToAMovedBody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, far := tcpPair(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = near.Close() }()
	over := make(chan struct{})
	defer close(over)
	wg.Go(func() { _, _ = far.Write(noise(20 << 20)) })
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
		<-over
	})
	body := &moving{conn: near, left: 20 << 20}
	o, w := attempt(t, clientFor(t, nil), "http://"+l.Addr().String(), body, body.left, Settings{})
	if o.Failed != exchange.None || w.Code != http.StatusRequestEntityTooLarge || w.Body.String() != "no" {
		t.Errorf("%d %q, %+v; want the early answer", w.Code, w.Body, o)
	}
}

// TestInlineBody: what is here of a body goes out with the head, in one write.
func TestInlineBody(t *testing.T) {
	for _, size := range []int{5, maxInline, maxInline + 1} {
		url, writes := firstRead(t)
		body := &here{Reader: bytes.NewReader(noise(size))}
		o, _ := attempt(t, clientFor(t, nil), url, body, int64(size), Settings{})
		got := <-writes
		if o.Failed != exchange.None || !bytes.Contains(got, noise(min(size, maxInline))) {
			t.Errorf("size %d: first read %d bytes, %+v; want head and body", size, len(got), o)
		}
	}
}

// here is a body that has come whole.
type here struct{ *bytes.Reader }

func (h *here) Close() error  { return nil }
func (h *here) Buffered() int { return h.Len() }

// firstRead is a backend that tells what its first read of a connection got.
func firstRead(t *testing.T) (url string, reads chan []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reads = make(chan []byte, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 64<<10)
		n, _ := conn.Read(buf)
		reads <- buf[:n]
		_, _ = io.WriteString(conn, ok200+"Content-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String(), reads
}

// TestMovedBodyFails: whose fault it is when a body that is moved past the process does not arrive.
func TestMovedBodyFails(t *testing.T) {
	sent := noise(20 << 20)
	tests := []struct {
		name   string
		url    func(t *testing.T) string
		client func(far *net.TCPConn)
		check  func(o Outcome) bool
	}{
		{
			"client leaves", func(t *testing.T) string { t.Helper(); return backend(t, mirror).URL },
			func(far *net.TCPConn) { _, _ = far.Write(sent[:1<<20]); _ = far.Close() },
			func(o Outcome) bool { return o.Failed == exchange.Client && o.Gone },
		},
		{
			"backend leaves", func(t *testing.T) string { t.Helper(); return rawBackend(t, "") },
			func(far *net.TCPConn) { _, _ = far.Write(sent) },
			func(o Outcome) bool { return o.Failed == exchange.Upstream && o.Reason == refusal.UpstreamError },
		},
		{
			"backend takes nothing", deaf,
			func(far *net.TCPConn) { _, _ = far.Write(sent) },
			func(o Outcome) bool { return o.Failed == exchange.Upstream && o.Reason == refusal.UpstreamTimeout },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			near, far := tcpPair(t)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer func() { _ = near.Close() }()
			wg.Go(func() { tt.client(far) })
			body := &moving{conn: near, left: int64(len(sent))}
			o, _ := attempt(t, clientFor(t, nil), tt.url(t), body, body.left, Settings{FirstByteTimeout: 50 * time.Millisecond})
			if !tt.check(o) {
				t.Errorf("outcome = %+v", o)
			}
		})
	}
}

// deaf is a backend that accepts and does not read.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // what it has in its queue ends with it
	return "http://" + l.Addr().String()
}

// gathered is a connection that holds back what is written between begin and flush.
type gathered struct {
	net.Conn
	holds bool
	out   bytes.Buffer
}

func (g *gathered) Write(p []byte) (int, error) {
	if g.holds {
		return g.out.Write(p)
	}
	return g.Conn.Write(p)
}

// records is a backend over TLS that answers with several records in one segment.
func records(t *testing.T, s *httptest.Server, answer ...string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		raw, err := l.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		g := &gathered{Conn: raw}
		conn := tls.Server(g, &tls.Config{Certificates: s.TLS.Certificates})
		if _, err := conn.Read(make([]byte, 4<<10)); err != nil {
			return
		}
		g.holds = true
		for _, record := range answer {
			_, _ = io.WriteString(conn, record)
		}
		_, _ = g.out.WriteTo(raw)
		_, _ = io.Copy(io.Discard, raw)
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "https://" + l.Addr().String()
}

// TestTLSSurplus: unasked bytes that TLS holds, where no look at the socket finds them, keep a connection from being used
// again.
func TestTLSSurplus(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	const answer = ok200 + "Content-Length: 2\r\n\r\nok"
	for want, answer := range map[int][]string{1: {answer}, 0: {answer, "HTTP/1.1 200 OK"}} {
		url := records(t, s, answer...)
		e := clientFor(t, s)
		if o, _ := attempt(t, e, url, http.NoBody, 0, Settings{}); o.Failed != exchange.None {
			t.Fatalf("outcome = %+v", o)
		}
		if got := e.pool.Idle(); got != want {
			t.Errorf("idle connections after %d records = %d, want %d", len(answer), got, want)
		}
	}
}
