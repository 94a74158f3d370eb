package upstream

import (
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"
)

// TestClosedConnectionIsNotKept: an answer can be complete before the last piece of the request is counted as sent. The connection is closed
// then, although the sender has nothing to complain of.
func TestClosedConnectionIsNotKept(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := clientFor(t, nil).pool.Host(nil, "http", l.Addr().String(), nil).Connect(t.Context(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, far) // until it is closed
	}()
	f := &round{w: httptest.NewRecorder(), a: &Attempt{}, conn: conn, sender: &sender{done: done}}
	f.stopSending(true)
	if f.unsent == nil {
		t.Error("a closed connection counts as one that the request was written to whole")
	}
}
