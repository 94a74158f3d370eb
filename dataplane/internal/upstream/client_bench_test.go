package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/upstream/h1"
	"apigateway/dataplane/internal/wire"
)

// steady is a backend that answers every request with the same bytes and allocates nothing on the way. Requests have no
// body.
func steady(tb testing.TB, answer string) *Backend {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { answerAll(conn, []byte(answer)) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return &Backend{URL: "http://" + l.Addr().String(), Scheme: "http", Host: l.Addr().String(), slot: new(h1.Slot)}
}

func answerAll(conn net.Conn, answer []byte) {
	defer conn.Close()
	buf := make([]byte, 4<<10)
	for end := 0; ; {
		n, err := conn.Read(buf[end:])
		if err != nil {
			return
		}
		if end += n; bytes.HasSuffix(buf[:end], []byte("\r\n\r\n")) {
			end = 0
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	}
}

// sink is a client that takes everything.
type sink struct {
	header http.Header
	lines  []byte
}

func (s *sink) WriteFields(_ int, _ int64, fields wire.FieldSource) bool {
	s.lines, _ = fields.AppendFields(s.lines[:0])
	return true
}

func (s *sink) Header() http.Header               { return s.header }
func (*sink) WriteHeader(int)                     {}
func (*sink) Write(p []byte) (int, error)         { return len(p), nil }
func (*sink) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

// small is the answer that the comparisons with other proxies use.
const small = "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 23 Nov 2026 20:00:00 GMT\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 46\r\n\r\nHello from the backend-1 running on port 8081\n"

// repeat returns a function that makes the same attempt once more.
func repeat(tb testing.TB, e Engine, b *Backend) func() {
	tb.Helper()
	return repeatTo(tb, e, b, &sink{header: make(http.Header)})
}

func repeatTo(tb testing.TB, e Engine, b *Backend, w http.ResponseWriter) func() {
	tb.Helper()
	x := exchange.New(tb.Context())
	x.Scheme, x.RequestID = "http", "0123456789abcdef0123456789abcdef"
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/users/42"}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "api.example",
		Header: http.Header{"User-Agent": {"wrk"}, "Accept": {"*/*"}, "X-Gateway-Key": {"alice"}}, RemoteAddr: "192.0.2.1:4711",
	}
	r = r.WithContext(x)
	a := Attempt{Backend: b, Settings: &Settings{}, Path: "/users/42", Tunnels: &Tunnels{}, x: x}
	return func() {
		clear(w.Header())
		a.answered = false
		if o := e.Attempt(w, r, &a); o.Failed != exchange.None {
			tb.Fatalf("attempt: %+v", o)
		}
	}
}

// BenchmarkAttempt is one attempt after another through loopback, the backend's work included.
func BenchmarkAttempt(b *testing.B) {
	for _, size := range []int{46, 16 << 10, 1 << 20} {
		answer := small
		if size != 46 {
			answer = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", size, bytes.Repeat([]byte("x"), size))
		}
		for _, name := range []string{"client"} {
			b.Run(fmt.Sprintf("body=%d/engine=%s", size, name), func(b *testing.B) {
				e := engines[name]()
				defer e.Close()
				attempt := repeat(b, e, steady(b, answer))
				attempt()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					attempt()
				}
			})
		}
	}
}

// tcpSink is a client behind a TCP connection of its own, to which bodies can be moved within the kernel.
type tcpSink struct {
	sink
	conn *net.TCPConn
}

func (s *tcpSink) Write(p []byte) (int, error)         { return s.conn.Write(p) }
func (s *tcpSink) ReadFrom(r io.Reader) (int64, error) { return s.conn.ReadFrom(r) }

// BenchmarkLargeBody is one body from socket to socket, with what the backend and the client cost.
func BenchmarkLargeBody(b *testing.B) {
	const size = 16 << 20
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", size, bytes.Repeat([]byte("x"), size))
	for _, name := range []string{"client"} {
		b.Run("engine="+name, func(b *testing.B) {
			e := engines[name]()
			defer e.Close()
			near, far := tcpPair(b)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer func() { _ = near.Close() }()
			wg.Go(func() {
				for buf := make([]byte, 256<<10); ; {
					if _, err := far.Read(buf); err != nil {
						return
					}
				}
			})
			attempt := repeatTo(b, e, steady(b, answer), &tcpSink{sink: sink{header: make(http.Header)}, conn: near})
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				attempt()
			}
		})
	}
}

// BenchmarkAttempts is many of them at once.
func BenchmarkAttempts(b *testing.B) {
	for _, name := range []string{"client"} {
		b.Run("engine="+name, func(b *testing.B) {
			e := engines[name]()
			defer e.Close()
			backend := steady(b, small)
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(p *testing.PB) {
				attempt := repeat(b, e, backend)
				for p.Next() {
					attempt()
				}
			})
		})
	}
}
