package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/wire"
)

// pipeline is a connection on which bytes have come and whose client then ends its side. What is answered is kept.
type pipeline struct {
	*bytes.Reader
	piece  int // read at a time
	out    bytes.Buffer
	closed bool
}

func (p *pipeline) Read(b []byte) (int, error)     { return p.Reader.Read(b[:min(len(b), p.piece)]) }
func (p *pipeline) Write(b []byte) (int, error)    { return p.out.Write(b) }
func (p *pipeline) Close() error                   { p.closed = true; return nil }
func (*pipeline) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*pipeline) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*pipeline) SetDeadline(time.Time) error      { return nil }
func (*pipeline) SetReadDeadline(time.Time) error  { return nil }
func (*pipeline) SetWriteDeadline(time.Time) error { return nil }

// sequence is what becomes of a connection's bytes.
type sequence struct {
	Requests []string // as the handler gets them
	Answers  string   // without Date, and without 100 Continue, which depends on what has come by then
	Open     bool     // all was used up and another request was waited for
}

// serveAll serves what comes on a connection so many bytes at a time.
func serveAll(b []byte, piece int) (q sequence) {
	nc := &pipeline{Reader: bytes.NewReader(b), piece: piece}
	s := &Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if _, ok := errors.AsType[*wire.Violation](err); ok {
			err = errors.New("malformed")
		}
		q.Requests = append(q.Requests, fmt.Sprintf("%s %s 1.%d %q %v %q %v", r.Method, r.RequestURI, r.ProtoMinor, r.Host, r.Header, body, err))
	}), Refuse: func(w http.ResponseWriter, _ *http.Request, v *wire.Violation) {
		w.WriteHeader(v.Status)
		_, _ = io.WriteString(w, v.Code)
	}}
	s.init()
	c := s.newConn(nc)
	s.conns[c] = struct{}{}
	for c.await() {
		if q.Open = c.next(); !q.Open {
			break
		}
	}
	q.Open = q.Open && nc.Len() == 0
	c.close()
	q.Answers = strings.ReplaceAll(dateLine.ReplaceAllString(nc.out.String(), ""), "HTTP/1.1 100 Continue\r\n\r\n", "")
	return q
}

// FuzzConnection holds whole connections against the oracle of sequences: any fragmentation gives the same one, and bytes behind a sequence that
// is complete give what they give alone.
func FuzzConnection(f *testing.F) {
	for i, s := range seeds {
		f.Add([]byte(s), []byte(seeds[(i+1)%len(seeds)]), uint8(i))
	}
	f.Add([]byte(seeds[0]+seeds[0]), []byte("\r\n\r\n"+seeds[2]), uint8(7))
	f.Add([]byte("GET / HTTP/1.1:\r\n"), []byte("GET / HTTP/1.0\r\n\r\n"), uint8(2)) // no version: the answer's is not that of the request before
	f.Fuzz(func(t *testing.T, first, second []byte, piece uint8) {
		a, b := serveAll(first, 1<<20), serveAll(second, 1<<20)
		if diff := cmp.Diff(a, serveAll(first, int(piece)+1)); diff != "" {
			t.Fatalf("in pieces of %d (-whole +pieces):\n%s", int(piece)+1, diff)
		}
		if !a.Open {
			return
		}
		want := sequence{Requests: append(a.Requests, b.Requests...), Answers: a.Answers + b.Answers, Open: b.Open || len(second) == 0}
		if diff := cmp.Diff(want, serveAll(append(bytes.Clone(first), second...), int(piece)+1)); diff != "" {
			t.Fatalf("one behind the other (-each alone +together):\n%s", diff)
		}
	})
}
