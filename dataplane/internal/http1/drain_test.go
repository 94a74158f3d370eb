package http1

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"
)

// lateListener hands out a connection that it had accepted when it was closed.
type lateListener struct {
	net.Listener
	entered  chan struct{} // capacity 1: Accept was called
	closed   chan struct{}
	accepted chan net.Conn
}

func (l *lateListener) Accept() (net.Conn, error) {
	select {
	case l.entered <- struct{}{}:
	default:
	}
	<-l.closed
	select {
	case nc := <-l.accepted:
		return nc, nil
	default:
		return nil, net.ErrClosed
	}
}

func (l *lateListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

// A connection that was accepted in the moment of Shutdown is served, and Shutdown waits for it.
func TestShutdownServesWhatIsAccepted(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	if err := near.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	l := &lateListener{entered: make(chan struct{}, 1), closed: make(chan struct{}), accepted: make(chan net.Conn, 1)}
	l.accepted <- far
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	served, down := make(chan error, 1), make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	<-l.entered
	go func() { down <- s.Shutdown(t.Context()) }()
	c := &client{near, bufio.NewReader(near)}
	c.send(t, simple)
	if got := c.answer(t); got.status != http.StatusNoContent || !got.close {
		t.Errorf("answer = %+v, want 204 and the end of the connection", got)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown() = %v, want nil", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve() = %v, want %v", err, http.ErrServerClosed)
	}
}
