package upstream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
)

const ok200 = "HTTP/1.1 200 OK\r\n"

// TestRefusedResponses is the row of HTTP.md about what is a 502, and the backend's failure.
func TestRefusedResponses(t *testing.T) {
	tests := []struct {
		name, answer string
	}{
		{"length twice", ok200 + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
		{"lengths that differ", ok200 + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"},
		{"list of lengths", ok200 + "Content-Length: 2, 2\r\n\r\nok"},
		{"signed length", ok200 + "Content-Length: +2\r\n\r\nok"},
		{"length with zeros", ok200 + "Content-Length: 02\r\n\r\nok"},
		{"length over 63 bits", ok200 + "Content-Length: 9223372036854775808\r\n\r\nok"},
		{"length and coding", ok200 + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		{"unknown coding", ok200 + "Transfer-Encoding: gzip\r\n\r\nok"},
		{"two codings", ok200 + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		{"coding on 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		{"folded line", ok200 + "X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok"},
		{"bad name", ok200 + "X A: a\r\nContent-Length: 2\r\n\r\nok"},
		{"space before colon", ok200 + "X-A : a\r\nContent-Length: 2\r\n\r\nok"},
		{"no colon", ok200 + "X-A\r\nContent-Length: 2\r\n\r\nok"},
		{"NUL", ok200 + "X-A: \x00\r\nContent-Length: 2\r\n\r\nok"},
		{"control character", ok200 + "X-A: \x01\r\nContent-Length: 2\r\n\r\nok"},
		{"bare CR", ok200 + "X-A: a\rb\r\nContent-Length: 2\r\n\r\nok"},
		{"bare LF", ok200 + "X-A: a\nContent-Length: 2\r\n\r\nok"},
		{"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"status 600", "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"status 099", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"64 KiB of head", ok200 + "X-A: " + strings.Repeat("a", 64<<10) + "\r\nContent-Length: 2\r\n\r\nok"},
		{"201 fields", ok200 + strings.Repeat("X-A: a\r\n", 200) + "Content-Length: 2\r\n\r\nok"},
		{"9 interim responses", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 9) + ok200 + "Content-Length: 2\r\n\r\nok"},
		{"unasked 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"},
		{"end in the head", ok200 + "Content-Len"},
		{"nothing", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, newClient, Settings{URLs: []string{rawBackend(t, tt.answer)}, FailureThreshold: 1, ResetTimeout: time.Hour})
			resp, err := g.Client().Post(g.URL, "text/plain", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			x := g.exchange(t)
			if resp.StatusCode != http.StatusBadGateway || x.Refusal != "upstream_error" || x.Outcome.Failed != exchange.Upstream {
				t.Errorf("answer = %d, %q %+v; want 502", resp.StatusCode, x.Refusal, x.Outcome)
			}
			if got := g.cluster.Status()[0]; got.State != breaker.Open {
				t.Errorf("watch = %+v, want the failure counted", got)
			}
		})
	}
}

// TestBrokenBodies: what is found out behind the head aborts the answer.
func TestBrokenBodies(t *testing.T) {
	const chunked = ok200 + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	tests := []struct {
		name, answer string
	}{
		{"short", ok200 + "Content-Length: 6\r\n\r\nhello"},
		{"no last chunk", chunked},
		{"no end of the trailers", chunked + "0\r\n"},
		{"size with a prefix", chunked + "0x1\r\na\r\n0\r\n\r\n"},
		{"size over 16 digits", chunked + "00000000000000001\r\na\r\n0\r\n\r\n"},
		{"size with a space", chunked + "1 \r\na\r\n0\r\n\r\n"},
		{"bad extension", chunked + "1;=\r\na\r\n0\r\n\r\n"},
		{"bare LF", chunked + "1\na\r\n0\r\n\r\n"},
		{"no CRLF behind the data", chunked + "1\r\naXX0\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, newClient, Settings{URLs: []string{rawBackend(t, tt.answer)}})
			if resp, err := g.Client().Get(g.URL); err == nil {
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err == nil {
					t.Errorf("body = %q with a clean end, want an aborted one", body)
				}
			}
			g.exchange(t)
			if canceled, bodyErrors := g.counters(); canceled != 0 || bodyErrors != 1 {
				t.Errorf("canceled, bodyErrors = %v, %v; want 0, 1", canceled, bodyErrors)
			}
		})
	}
}

// counting is a backend that answers every request on a connection with the same bytes, in two writes, and counts its
// connections.
func counting(t *testing.T, first, second string) (url string, conns *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = new(atomic.Int64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			wg.Go(func() {
				defer conn.Close()
				for in := bufio.NewReader(conn); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if first != "" {
						_, _ = io.WriteString(conn, first)
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, second)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String(), conns
}
