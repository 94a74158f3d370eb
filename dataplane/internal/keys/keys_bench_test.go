package keys

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func secretOf(i int) string { return fmt.Sprintf("gk_%012x_%032x", i, i*7919) }

func identityOf(i int) *Identity {
	return &Identity{Name: "key-" + strconv.Itoa(i), All: true, Secrets: []Secret{{ID: strconv.Itoa(i), Hash: HashOf(secretOf(i))}}}
}

func filled(tb testing.TB, n int) *Table {
	tb.Helper()
	t := NewTable()
	for i := range n {
		id := identityOf(i)
		if err := t.Put(id.Name, nil, id); err != nil {
			tb.Fatal(err)
		}
	}
	return t
}

// HashOf and Verify together: what a request costs.
func BenchmarkVerify(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			t := filled(b, n)
			var all strings.Builder // one piece of memory, read in order: a request's key is in the cache
			for range 1 << 16 {
				all.WriteString(secretOf(rand.IntN(n)))
			}
			size := len(secretOf(0))
			secrets := make([]string, 1<<16)
			for i := range secrets {
				secrets[i] = all.String()[i*size : (i+1)*size]
			}
			now := time.Now()
			runtime.GC()
			for _, s := range secrets { // the first use of a minute is noted: not measured
				t.Verify(HashOf(s), now)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, v := t.Verify(HashOf(secrets[i]), now); v != OK {
					b.Fatalf("Verify = %v, want ok", v)
				}
				i = (i + 1) % len(secrets)
			}
		})
	}
}

func BenchmarkHashOf(b *testing.B) {
	secret := secretOf(1)
	b.ReportAllocs()
	for b.Loop() {
		HashOf(secret)
	}
}

// One more key and one fewer, in a table that stays of its size.
func BenchmarkPutRemove(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			t := filled(b, n)
			ids := make([]*Identity, 1<<12)
			for i := range ids {
				ids[i] = identityOf(n + i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				id := ids[i%len(ids)]
				if err := t.Put(id.Name, nil, id); err != nil {
					b.Fatal(err)
				}
				t.Remove(id.Name)
				i++
			}
		})
	}
}

// From nothing to n keys; ns/key is the amortised cost of one Put.
func BenchmarkFill(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			ids := make([]*Identity, n)
			for i := range ids {
				ids[i] = identityOf(i)
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var t *Table
			for b.Loop() {
				t = NewTable()
				for _, id := range ids {
					if err := t.Put(id.Name, nil, id); err != nil {
						b.Fatal(err)
					}
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/key")
			runtime.KeepAlive(t)
		})
	}
}
