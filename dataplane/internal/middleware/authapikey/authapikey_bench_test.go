package authapikey

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
)

func BenchmarkServeHTTP(b *testing.B) {
	v := &verifier{"abc-123", &keys.Identity{Name: "alice", All: true}, keys.OK, 0}
	mw, err := New(Config{Service: "users"}, Deps{v, slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	h := mw(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/users", nil).WithContext(exchange.New(b.Context()))
	values := []string{""}
	b.ReportAllocs()
	for b.Loop() {
		values[0] = "abc-123"
		r.Header[keyField] = values
		h.ServeHTTP(nil, r)
	}
}
