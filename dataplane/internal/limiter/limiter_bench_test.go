package limiter

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
)

func mustRate(tb testing.TB, perSecond float64, burst int) Rate {
	tb.Helper()
	r, err := NewRate(perSecond, burst)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// mixed spreads numbers as ForKey does.
func mixed(i int) Client { return Client(uint64(i) * 0x9e3779b97f4a7c15) }

func BenchmarkTake(b *testing.B) {
	for _, n := range []int{1, 1_000, 1_000_000} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			t := NewTable(mustRate(b, 1e6, 1000), NewBudget(0))
			for i := range n {
				t.Take(mixed(i), 0)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportAllocs()
			i, now := 0, int64(0)
			for b.Loop() {
				t.Take(mixed(i), now)
				if i++; i == n {
					i = 0
				}
				now += 50
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/client")
			runtime.KeepAlive(t)
		})
	}
}

// All from new clients, above the budget: what a flood of addresses costs. level=full has only full buckets to drop.
func BenchmarkTakeNew(b *testing.B) {
	for _, bm := range []struct {
		name string
		rate Rate
	}{{"full", mustRate(b, 1e9, 1)}, {"spent", mustRate(b, 1e-3, 1)}} {
		b.Run("level="+bm.name, func(b *testing.B) {
			t := NewTable(bm.rate, NewBudget(100_000))
			for i := range 100_000 {
				t.Take(mixed(i), int64(i))
			}
			b.ReportAllocs()
			i := 100_000
			for b.Loop() {
				t.Take(mixed(i), int64(i))
				i++
			}
		})
	}
}

func BenchmarkClient(b *testing.B) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	b.Run("of=key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ForKey("alice")
		}
	})
	b.Run("of=ipv4", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ForIP(v4)
		}
	})
	b.Run("of=ipv6", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ForIP(v6)
		}
	})
}
