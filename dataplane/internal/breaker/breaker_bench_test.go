package breaker

import (
	"math"
	"testing"
	"time"
)

func BenchmarkAllowDone(b *testing.B) {
	now := time.Now()
	open := New(Settings{FailureThreshold: 1, ResetTimeout: time.Hour}, nil)
	if p, ok := open.Allow(now); ok {
		p.Done(Failure, nil, now)
	}
	benchmarks := []struct {
		name    string
		breaker *Breaker
		result  Result
	}{
		{"result=success", New(settings, nil), Success},
		{"result=ignored", New(settings, nil), Ignored},
		{"result=failure", New(Settings{FailureThreshold: math.MaxInt}, nil), Failure},
		{"result=refused", open, Ignored},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p, ok := bm.breaker.Allow(now); ok {
					p.Done(bm.result, nil, now)
				}
			}
		})
	}
	b.Run("result=success,parallel=true", func(b *testing.B) {
		b.ReportAllocs()
		br := New(settings, nil)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if p, ok := br.Allow(now); ok {
					p.Done(Success, nil, now)
				}
			}
		})
	})
}
