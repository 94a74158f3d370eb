package proxy

import (
	"io"
	"net"
	"testing"

	"apigateway/dataplane/internal/keys"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// proxied returns a function that sends one request through the full chain over loopback and reads its answer.
func proxied(tb testing.TB) func() {
	tb.Helper()
	w := newWorld(tb)
	w.rawBackend(tb, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 46\r\n\r\nHello from the backend-1 running on port 8081\n")
	secret := keys.Secret{ID: "s", Hash: keys.HashOf("secret-of-alice")}
	if err := w.keys.Put("alice", nil, &keys.Identity{Name: "alice", All: true, Secrets: []keys.Secret{secret}}); err != nil {
		tb.Fatal(err)
	}
	w.serveWith(tb, &gatewayv1.Listener{MaxRequests: 1 << 40}, map[string]*gatewayv1.Service{"users": {
		RoutePattern: "/users", Middleware: []string{"auth_apikey", "rate_limit", "circuit_breaker", "metrics"}, RateLimitRps: 1e9, RateLimitBurst: 1e9,
	}})
	conn, err := net.Dial("tcp", w.start(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	request, buf := []byte("GET /users HTTP/1.1\r\nHost: api.example\r\nX-API-KEY: secret-of-alice\r\n\r\n"), make([]byte, 4<<10)
	ask := func() int {
		if _, err := conn.Write(request); err != nil {
			tb.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil || string(buf[:12]) != "HTTP/1.1 200" {
			tb.Fatalf("%q, %v", buf[:n], err)
		}
		return n
	}
	length := ask()
	return func() {
		if _, err := conn.Write(request); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf[:length]); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkProxied is one request after the other, with what client and backend cost.
func BenchmarkProxied(b *testing.B) {
	ask := proxied(b)
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}
