package http1

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"
)

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (*net.TCPConn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
	})
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// A client that does not read must not hold an answer that is spliced to it, nor may a source whose own deadline is over.
func TestSpliceEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source func(from, filler *net.TCPConn)
	}{
		{"deaf client", func(_, filler *net.TCPConn) {
			buf := make([]byte, 1<<20)
			for {
				if _, err := filler.Write(buf); err != nil {
					return
				}
			}
		}},
		{"late source", func(from, _ *net.TCPConn) { _ = from.SetReadDeadline(time.Unix(1, 0)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, filler := pair(t)
			go tt.source(from, filler)
			ended := make(chan error, 1)
			s := &Server{
				Settings: func() Settings { return Settings{WriteTimeout: 10 * time.Millisecond} },
				Handler: handler(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Length", strconv.Itoa(1<<30)) // a body of unknown length is not spliced
					_, err := w.(io.ReaderFrom).ReadFrom(io.LimitReader(from, 1<<30))
					ended <- err
				}),
			}
			newClient(t, serve(t, s)).send(t, simple)
			select {
			case err := <-ended:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("ReadFrom = %v, want a deadline", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("the answer goes on")
			}
		})
	}
}
