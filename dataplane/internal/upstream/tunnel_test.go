package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
)

const handshake = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// echo is a backend that switches protocols and sends back what it gets; without an upgrade it says so.
func echo(t *testing.T) string {
	t.Helper()
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, "plain")
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Answer: 1\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	}).URL
}

// open opens a tunnel through g and returns it once it has echoed a word.
func open(t *testing.T, g *gateway, early string) (io.WriteCloser, *bufio.Reader) {
	t.Helper()
	conn, in := g.send(t, handshake+early)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("X-Answer") != "1" {
		t.Fatalf("answer = %v, %v; want a 101", resp, err)
	}
	_ = resp.Body.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(early)+len("hello"))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != early+"hello" {
		t.Fatalf("echo = %q, %v", got, err)
	}
	return conn, in
}

func TestTunnel(t *testing.T) {
	for _, early := range []string{"", "sent before the 101 "} {
		g := newGateway(t, newClient, Settings{URLs: []string{echo(t)}, Timeout: time.Hour})
		conn, _ := open(t, g, early)
		if got := g.tunnels.Len(); got != 1 {
			t.Errorf("open tunnels = %d, want 1", got)
		}
		_ = conn.Close()
		x := g.exchange(t)
		if !x.Tunnel || x.Status != 101 || x.Outcome.Failed != exchange.None || g.tunnels.Len() != 0 {
			t.Errorf("exchange = tunnel %v %d %+v, open %d", x.Tunnel, x.Status, x.Outcome, g.tunnels.Len())
		}
	}
}

func TestTunnelEndsWithItsKey(t *testing.T) {
	g := newGateway(t, newClient, Settings{URLs: []string{echo(t)}})
	g.identity = &keys.Identity{Name: "alice"}
	_, in := open(t, g, "")
	if n := g.tunnels.CloseIf(func(h keys.Hash) bool { return h != keys.HashOf("alice") }); n != 0 {
		t.Errorf("CloseIf for other keys ended %d, want 0", n)
	}
	if n := g.tunnels.CloseIf(func(h keys.Hash) bool { return h == keys.HashOf("alice") }); n != 1 {
		t.Errorf("CloseIf for alice ended %d, want 1", n)
	}
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		t.Errorf("after the end: %q, want nothing", rest)
	}
	g.exchange(t)
}

func TestStreamEndsWithItsKey(t *testing.T) {
	for name, over := range engines {
		t.Run(name, func(t *testing.T) {
			b := backend(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/grpc+proto")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			g := newGateway(t, over, Settings{URLs: []string{b.URL}})
			g.identity = &keys.Identity{Name: "alice"}
			resp, err := g.Client().Get(g.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if n := g.tunnels.CloseIf(func(keys.Hash) bool { return true }); n != 1 {
				t.Errorf("CloseIf ended %d, want 1", n)
			}
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("a stream that was cut ended cleanly")
			}
			g.exchange(t)
			if canceled, bodyErrors := g.counters(); canceled != 0 || bodyErrors != 0 {
				t.Errorf("canceled, bodyErrors = %v, %v; want neither's", canceled, bodyErrors)
			}
		})
	}
}

// deafClient is a writer to a client that does not read: a write waits for its deadline.
type deafClient struct {
	http.ResponseWriter
	waiting, deadline chan struct{}
}

func (d *deafClient) Write([]byte) (int, error) {
	close(d.waiting)
	<-d.deadline
	return 0, os.ErrDeadlineExceeded
}

func (d *deafClient) SetWriteDeadline(time.Time) error {
	close(d.deadline)
	return nil
}

// TestStreamOfADeafClientEndsWithItsKey: the end must not wait for a client that does not read.
func TestStreamOfADeafClientEndsWithItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &deafClient{waiting: make(chan struct{}), deadline: make(chan struct{})}
		ctx, cancel := context.WithCancelCause(t.Context())
		f := &flight{w: w, ctx: ctx, cancel: cancel, a: &Attempt{}}
		go func() {
			<-w.waiting
			f.cut()
		}()
		o := f.copyBody(strings.NewReader("data: x\n\n"), time.Hour, false)
		if o.Failed != exchange.Gateway || o.Gone || !errors.Is(o.Err, errCut) {
			t.Errorf("outcome = %+v, want the gateway's own end", o)
		}
	})
}

// TestKeylessTunnelsEndOnClose: without a key only the end of the process ends a tunnel.
func TestKeylessTunnelsEndOnClose(t *testing.T) {
	g := newGateway(t, newClient, Settings{URLs: []string{echo(t)}})
	open(t, g, "")
	if n := g.tunnels.CloseIf(func(keys.Hash) bool { return true }); n != 0 {
		t.Errorf("CloseIf ended %d, want 0", n)
	}
	if n := g.tunnels.Close(); n != 1 {
		t.Errorf("Close ended %d, want 1", n)
	}
	g.exchange(t)
}

// TestIdleTunnelEnds: traffic in either direction keeps a tunnel open, silence ends it.
func TestIdleTunnelEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, clientEnd := net.Pipe()
		server, serverEnd := net.Pipe()
		tun := &tunnel{client: clientEnd, backend: serverEnd, idle: time.Hour}
		start, done := time.Now(), make(chan time.Time, 1)
		go func() {
			tun.run(clientEnd)
			done <- time.Now()
		}()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		for _, from := range []io.Writer{client, server, client} {
			time.Sleep(50 * time.Minute) // the bubble's clock
			if _, err := io.WriteString(from, "still here"); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
		}
		if got, want := (<-done).Sub(start), 3*50*time.Minute+time.Hour; got != want {
			t.Errorf("the tunnel ended after %v, want %v", got, want)
		}
		_, _ = client.Close(), server.Close()
	})
}

func TestNoTunnel(t *testing.T) {
	tests := []struct {
		name    string
		s       Settings
		request string
		status  int
		body    string
	}{
		{"not allowed", Settings{NoUpgrade: true}, handshake, 200, "plain"},
		{"h2c", Settings{}, strings.ReplaceAll(handshake, "websocket", "h2c"), 200, "plain"},
		{"bad key", Settings{}, strings.ReplaceAll(handshake, "dGhlIHNhbXBsZSBub25jZQ==", "short"), 400, "Bad Request\n"},
		{"other version", Settings{}, strings.ReplaceAll(handshake, "Version: 13", "Version: 8"), 400, "Bad Request\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.s.URLs = []string{echo(t)}
			g := newGateway(t, newClient, tt.s)
			_, in := g.send(t, tt.request)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || string(body) != tt.body {
				t.Errorf("answer = %d %q %v, want %d %q", resp.StatusCode, body, err, tt.status, tt.body)
			}
			if x := g.exchange(t); x.Tunnel {
				t.Error("exchange says tunnel")
			}
		})
	}
}

// TestRefusedHandshake: a backend that does not switch answers as usual.
func TestRefusedHandshake(t *testing.T) {
	g := newGateway(t, newClient, Settings{URLs: []string{rawBackend(t, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")}})
	_, in := g.send(t, handshake)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 426 {
		t.Fatalf("answer = %v, %v; want 426", resp, err)
	}
	_ = resp.Body.Close()
}

// TestCutAfterTheEnd: what a cut would end may serve another request by then.
func TestCutAfterTheEnd(t *testing.T) {
	var open Tunnels
	cuts := 0
	entry := open.add(exchange.New(t.Context()), func() { cuts++ })
	entries := open.all() // what Close has found
	entries[0].end()
	open.remove(entry)
	entries[0].end()
	if cuts != 1 {
		t.Errorf("cuts = %d, want the one before the end", cuts)
	}
}
