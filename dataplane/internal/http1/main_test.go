package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts s on a free port and ends it with the test.
func serve(tb testing.TB, s *Server) (addr string) {
	tb.Helper()
	l := listen(tb)
	serveOn(tb, s, l)
	return l.Addr().String()
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func serveOn(tb testing.TB, s *Server, l net.Listener) {
	tb.Helper()
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	tb.Cleanup(func() {
		s.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("Serve: %v", err)
		}
	})
}

func dial(tb testing.TB, addr string) *net.TCPConn {
	tb.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { nc.Close() })
	return nc.(*net.TCPConn)
}

// ask sends text in pieces and returns all that the server answers until it closes.
func ask(tb testing.TB, addr, text string, piece int) string {
	tb.Helper()
	nc := dial(tb, addr)
	go func() {
		for rest := text; rest != ""; {
			n := min(piece, len(rest))
			if _, err := io.WriteString(nc, rest[:n]); err != nil {
				return // the server has heard enough
			}
			rest = rest[n:]
		}
	}()
	got, err := io.ReadAll(nc)
	if err != nil {
		tb.Errorf("read: %v", err)
	}
	return string(got)
}

var (
	statusLine = regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d{3})[^\r]*\r$`)
	dateLine   = regexp.MustCompile(`Date: [^\r]*\r\n`)
)

// statuses returns the statuses of the answers in text. Their bodies have no status lines.
func statuses(text string) string {
	var all []string
	for _, m := range statusLine.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return strings.Join(all, " ")
}

// undated removes the Date of every answer, which has to be there.
func undated(tb testing.TB, text string) string {
	tb.Helper()
	if n := len(dateLine.FindAllString(text, -1)); n == 0 {
		tb.Errorf("no Date in %q", text)
	}
	return dateLine.ReplaceAllString(text, "")
}
