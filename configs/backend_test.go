package configs

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"sync/atomic"
	"testing"
)

// backend is a server behind the gateway. Any path is answered with its name and port; these endings do something else:
//
//	/status/503   answers with that status
//	/stream       an event stream of one event, and of another one once released
//	/poll         the other one alone, once released
//	/socket       switches to WebSocket and sends back what it gets
//	/large        answers with 1 MiB
type backend struct {
	address  string
	greeting string
	release  chan struct{} // closed: streams end
	polled   chan struct{} // told of each /poll that waits
	broken   atomic.Bool   // every answer is a 500
	server   *http.Server
	served   chan struct{}
}

// newBackend starts a backend on a port of its own, which it keeps while it is stopped.
func newBackend(t *testing.T, name string) *backend {
	t.Helper()
	b := &backend{address: freeAddress(t), release: make(chan struct{}), polled: make(chan struct{}, 100)}
	_, port, err := net.SplitHostPort(b.address)
	if err != nil {
		t.Fatal(err)
	}
	b.greeting = fmt.Sprintf("Hello from the %s running on port %s\n", name, port)
	b.start(t)
	t.Cleanup(b.stop)
	return b
}

func (b *backend) url() string { return "http://" + b.address }

func (b *backend) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	server, served := &http.Server{Handler: b, Protocols: new(http.Protocols)}, make(chan struct{})
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	b.server, b.served = server, served
	go func() {
		defer close(served)
		_ = server.Serve(l) // ends by stop
	}()
}

// stop closes the port and every connection.
func (b *backend) stop() {
	_ = b.server.Close()
	<-b.served
}

// ServeHTTP implements http.Handler.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, last := path.Split(r.URL.Path)
	switch {
	case b.broken.Load():
		w.WriteHeader(http.StatusInternalServerError)
	case path.Base(rest) == "status":
		status, _ := strconv.Atoi(last)
		w.WriteHeader(status)
	case last == "stream":
		b.stream(w, r)
	case last == "poll":
		b.polled <- struct{}{}
		<-b.release
		_, _ = io.WriteString(w, lastEvent)
	case last == "socket":
		echo(w)
	case last == "large":
		_, _ = w.Write(make([]byte, 1<<20))
	default:
		_, _ = io.WriteString(w, b.greeting)
	}
}

const firstEvent, lastEvent = "data: first\n\n", "data: last\n\n"

func (b *backend) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, firstEvent)
	_ = http.NewResponseController(w).Flush()
	select {
	case <-b.release:
		_, _ = io.WriteString(w, lastEvent)
	case <-r.Context().Done():
	}
}

// echo ends with its connection.
func echo(w http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	_, _ = io.Copy(conn, buffered)
}
