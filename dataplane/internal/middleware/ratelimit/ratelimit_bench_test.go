package ratelimit

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
)

func BenchmarkServeHTTP(b *testing.B) {
	for _, client := range []string{"key", "ip"} {
		b.Run("client="+client, func(b *testing.B) {
			f := newFixture(b, 1e9, 1e9)
			x := exchange.New(b.Context())
			x.ClientIP = netip.MustParseAddr("192.0.2.1")
			if client == "key" {
				x.Key = &keys.Identity{Name: "alice"}
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(x)
			b.ReportAllocs()
			for b.Loop() {
				f.now += 10
				f.handler.ServeHTTP(nil, r)
			}
		})
	}
}
