package http1

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"testing"
)

// usual is a request as a client of an API sends it; browser one as a browser does.
const (
	usual   = "GET /users/42?full=1 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nX-API-KEY: gk_7f3k9qwn2m4x_V2xyz0123456789\r\n\r\n"
	browser = "GET /users/42/orders?page=2 HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n" +
		"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://example.com/users/42\r\nDNT: 1\r\nSec-Fetch-Dest: document\r\n" +
		"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"
)

// parser is what a connection keeps from request to request.
type parser struct {
	head   head
	m      message
	r      http.Request
	url    url.URL
	header http.Header
	values []string
	buf    []byte
}

func newParser(text string) *parser {
	return &parser{header: http.Header{}, buf: make([]byte, len(text))}
}

func (p *parser) parse(text string) error {
	copy(p.buf, text)
	p.head.reset()
	n, v := p.head.parse(p.buf)
	if v != nil || n != len(text) {
		return fmt.Errorf("parsed %d bytes of %d: %w", n, len(text), v)
	}
	clear(p.header)
	p.r = http.Request{URL: &p.url, Header: p.header}
	if p.values, v = p.head.build(&p.m, &p.r, p.buf, p.values); v != nil {
		return v
	}
	return nil
}

func BenchmarkParse(b *testing.B) {
	for kind, text := range map[string]string{"usual": usual, "browser": browser} {
		b.Run("request="+kind, func(b *testing.B) {
			p := newParser(text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := p.parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The copy of the head is all that parsing a usual request allocates.
func TestParseAllocates(t *testing.T) {
	for kind, text := range map[string]string{"usual": usual, "browser": browser} {
		p := newParser(text)
		if got := testing.AllocsPerRun(100, func() {
			if err := p.parse(text); err != nil {
				t.Fatal(err)
			}
		}); got > 1 {
			t.Errorf("%s: %v allocations, want 1", kind, got)
		}
	}
}

func trivial(recycle bool) http.Handler {
	body := []byte("0123456789012345678901234567890123456789012345")
	kind := []string{"text/plain"}
	return handler(func(w http.ResponseWriter, _ *http.Request) {
		if recycle {
			w.(*Writer).Recycle()
		}
		w.Header()["Content-Type"] = kind
		_, _ = w.Write(body) // the client sees it
	})
}

func endless(recycle bool) *Server {
	return &Server{Handler: trivial(recycle), Settings: func() Settings { return Settings{MaxRequests: 1 << 40} }}
}

// roundTrip sends a request and reads as much as the first answer had.
func roundTrip(c *client, text, buf []byte) error {
	if _, err := c.Write(text); err != nil {
		return err
	}
	_, err := io.ReadFull(c, buf)
	return err
}

func answerLen(tb testing.TB, c *client) int {
	tb.Helper()
	buf := make([]byte, 4<<10)
	c.send(tb, usual)
	n, err := c.Read(buf)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func BenchmarkKeepAlive(b *testing.B) {
	netHTTP := func(b *testing.B) string {
		b.Helper()
		s := &http.Server{Handler: handler(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{"text/plain"}
			_, _ = w.Write(make([]byte, 46)) // the client sees it
		})}
		l := listen(b)
		go func() { _ = s.Serve(l) }() // ends with Close
		b.Cleanup(func() { _ = s.Close() })
		return l.Addr().String()
	}
	servers := map[string]func(b *testing.B) string{
		"http1":       func(b *testing.B) string { b.Helper(); return serve(b, endless(true)) },
		"http1-fresh": func(b *testing.B) string { b.Helper(); return serve(b, endless(false)) },
		"net/http":    netHTTP,
	}
	for name, start := range servers {
		b.Run("server="+name, func(b *testing.B) {
			c := newClient(b, start(b))
			text, buf := []byte(usual), make([]byte, answerLen(b, c))
			b.ReportAllocs()
			for b.Loop() {
				if err := roundTrip(c, text, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A request over a connection that is kept allocates its head's copy and nothing else.
func TestKeepAliveAllocates(t *testing.T) {
	if raceEnabled {
		t.Log("pools lose what they are given under the race detector: nothing to count")
		return
	}
	c := newClient(t, serve(t, &Server{Handler: trivial(true)}))
	text, buf := []byte(usual), make([]byte, answerLen(t, c))
	if got := testing.AllocsPerRun(500, func() {
		if err := roundTrip(c, text, buf); err != nil {
			t.Fatal(err)
		}
	}); got > 1 {
		t.Errorf("%v allocations a request, want 1", got)
	}
}

// BenchmarkIdleConns reports what a connection holds that served a request and waits for the next, the client's end included.
func BenchmarkIdleConns(b *testing.B) {
	const conns = 1000
	for b.Loop() {
		addr := serve(b, endless(true))
		clients := make([]net.Conn, conns)
		buf := make([]byte, 4<<10)
		before := memory()
		for i := range clients {
			nc := dial(b, addr)
			clients[i] = nc
			if _, err := nc.Write([]byte(usual)); err != nil {
				b.Fatal(err)
			}
			if _, err := nc.Read(buf); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(memory()-before)/conns, "B/conn")
		for _, nc := range clients {
			_ = nc.Close() // nothing is left to lose
		}
	}
}

// memory returns the bytes of heap and stacks that are in use after two collections.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
