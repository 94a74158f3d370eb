package refusal

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func BenchmarkWrite(b *testing.B) {
	for _, bb := range []struct{ name, accept string }{{"accept=any", "*/*"}, {"accept=json", "application/json"}} {
		b.Run(bb.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Accept", bb.accept)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				w.Body.Reset()
				Write(w, r, RateLimited)
			}
		})
	}
}

func BenchmarkInc(b *testing.B) {
	c, err := NewCounters(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	s := c.Service("users")
	b.ReportAllocs()
	for b.Loop() {
		s.Inc("rate_limited")
	}
}
