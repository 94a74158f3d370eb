package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// rawBackend answers each request, none of which has a body, with the same bytes.
func (w *world) rawBackend(tb testing.TB, answer string) {
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
		w.live.Close() // the connections to it
		wg.Wait()
	})
	w.backend.URL = "http://" + l.Addr().String()
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

// Lines of a backend's head go straight to the client where nobody else can want to see them, through a header map where own middleware
// might: the client sees the same.
func TestBothWaysAnswerAlike(t *testing.T) {
	through := Plain("through", func(next http.Handler) http.Handler { return next })
	for name, answer := range map[string]string{
		"usual":                "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 20:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
		"no type, no date":     "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>ok</html>",
		"odd spelling":         "HTTP/1.1 404\r\nDATE:x\r\nx-ODD-name:\t a b \t\r\nX-Odd-Name: second\r\nETag:\r\ncontent-length: 0\r\n\r\n",
		"hop-by-hop":           "HTTP/1.1 200 OK\r\nDate: x\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nTrailer: X\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
		"named by Connection":  "HTTP/1.1 200 OK\r\nDate: x\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-Stays: 2\r\nContent-Length: 0\r\n\r\n",
		"chunked":              "HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n",
		"without a body":       "HTTP/1.1 304 Not Modified\r\nDate: x\r\nETag: \"a\"\r\nContent-Length: 17\r\n\r\n",
		"until the connection": "HTTP/1.1 200 OK\r\nDate: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"a long one":           "HTTP/1.1 200 OK\r\nDate: x\r\nX-Long: " + strings.Repeat("0123456789abcdef", 1<<10) + "\r\nContent-Length: 2\r\n\r\nok",
		"many cookies":         "HTTP/1.1 200 OK\r\nDate: x\r\n" + strings.Repeat("Set-Cookie: a=b\r\n", 150) + "Content-Length: 2\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, through)
			w.rawBackend(t, answer)
			w.serve(t, map[string]*gatewayv1.Service{"short": {RoutePattern: "/short"}, "long": {RoutePattern: "/long", Middleware: []string{"through"}}})
			address := w.start(t)
			for _, request := range []string{"GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET %s HTTP/1.0\r\n\r\n"} {
				short, long := rawAnswer(t, address, fmt.Sprintf(request, "/short")), rawAnswer(t, address, fmt.Sprintf(request, "/long"))
				if diff := cmp.Diff(long, short); diff != "" {
					t.Errorf("%q (-through a header map +straight):\n%s", request, diff)
				}
			}
		})
	}
}

// rawAnswer returns all that a connection brings, the header lines sorted and without what is the moment's.
func rawAnswer(t *testing.T, address, request string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	for i, line := range lines {
		if strings.HasSuffix(line, " GMT") {
			lines[i] = "Date: some"
		}
	}
	slices.Sort(lines)
	return append(lines, body)
}
