package http1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A body moves to a backend whole, spliced where it can be, and its limits hold.
func TestWriteNTo(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 20<<10)
	tests := []struct{ name, head, body string }{
		{"length", "Content-Length: 327680\r\n\r\n", text},
		{"chunks", "Transfer-Encoding: chunked\r\n\r\n", "28000\r\n" + text[:0x28000] + "\r\n28000\r\n" + text[0x28000:] + "\r\n0\r\n\r\n"},
		{"broken off", "Content-Length: 327681\r\n\r\n", text},
	}
	for _, tt := range tests {
		for _, plain := range []string{"", "/backend not a socket"} {
			t.Run(tt.name+plain, func(t *testing.T) {
				got, ended := make(chan string, 1), make(chan error, 1)
				addr := serve(t, &Server{Handler: handler(func(_ http.ResponseWriter, r *http.Request) {
					ended <- transfer(t, r.Body, plain == "", got)
				})})
				nc := dial(t, addr)
				go func() {
					_, _ = io.WriteString(nc, "POST / HTTP/1.1\r\nHost: a\r\n"+tt.head+tt.body) // the handler compares
					_ = nc.CloseWrite()
				}()
				if body := <-got; body != text {
					t.Errorf("%d bytes moved, want the %d that were sent", len(body), len(text))
				}
				want := io.EOF
				if tt.name == "broken off" {
					want = io.ErrUnexpectedEOF
				}
				if err := <-ended; !errors.Is(err, want) {
					t.Errorf("ended with %v, want %v", err, want)
				}
			})
		}
	}
}

// transfer moves body in pieces to a socket or a buffer, whose content it puts into got.
func transfer(t *testing.T, body io.Reader, socket bool, got chan<- string) error {
	t.Helper()
	var buf bytes.Buffer
	dst := io.Writer(&buf)
	finish := func() { got <- buf.String() }
	if socket {
		l := listen(t)
		backend := dial(t, l.Addr().String())
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		dst = backend
		go func() {
			b, _ := io.ReadAll(accepted) // compared by the test
			got <- string(b)
			_ = accepted.Close()
		}()
		finish = func() { _ = errors.Join(backend.CloseWrite(), l.Close()) }
	}
	defer finish()
	const piece = 100_000
	for {
		n, err := body.(interface {
			WriteNTo(dst io.Writer, limit int64) (int64, error)
		}).WriteNTo(dst, piece)
		if n > piece {
			t.Errorf("WriteNTo moved %d bytes, want %d at most", n, piece)
		}
		if err != nil {
			return err
		}
	}
}

// Accept's passing errors are waited out; every other one ends Serve.
func TestAcceptErrors(t *testing.T) {
	l := &failing{Listener: listen(t), errs: []error{&net.OpError{Err: passing{}}, &net.OpError{Err: passing{}}}}
	s := &Server{Handler: http.NotFoundHandler()}
	serveOn(t, s, l)
	if got := ask(t, l.Addr().String(), "GET / HTTP/1.0\r\n\r\n", 100); statuses(got) != "404" {
		t.Errorf("after passing errors: answer %q, want 404", got)
	}
	final := errors.New("final")
	if err := s.Serve(&failing{Listener: listen(t), errs: []error{final}}); !errors.Is(err, final) {
		t.Errorf("Serve: %v, want %v", err, final)
	}
}

type passing struct{}

func (passing) Error() string   { return "too many open files" }
func (passing) Temporary() bool { return true }

// failing is a listener whose first Accepts fail.
type failing struct {
	net.Listener
	errs []error
}

func (l *failing) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.Listener.Accept()
}
