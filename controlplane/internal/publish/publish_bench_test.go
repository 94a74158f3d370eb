package publish

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"apigateway/controlplane/internal/store/bolt"
)

// benched returns a publisher on a store that syncs, with some keys.
func benched(b *testing.B, count int) *Publisher {
	b.Helper()
	s, err := bolt.Open(filepath.Join(b.TempDir(), "store.db"))
	if err != nil {
		b.Fatal(err)
	}
	p := publisher(b, s)
	b.Cleanup(func() {
		p.Close()
		_ = s.Close()
	})
	commit(b, p, func(tx Tx) {
		for i := range count {
			name := fmt.Sprintf("key-%09d", i)
			tx.Put(key, name, keyValue(b, name, "service"))
		}
	})
	return p
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			p := benched(b, 1000)
			var n atomic.Int64
			var group sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range writers {
				group.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						name := fmt.Sprintf("new-%d", i)
						putKey(b, p, name, name)
					}
				})
			}
			group.Wait()
		})
	}
}

func BenchmarkNext(b *testing.B) {
	p := benched(b, 1000)
	head := p.State().Keys
	have := Have{Revision: head.Revision, Digest: head.Digest, Ours: true}
	for i := range 100 {
		putKey(b, p, fmt.Sprint("new", i), fmt.Sprint("new", i))
	}
	newest := p.State().Keys
	for _, bench := range []struct {
		name string
		have Have
	}{
		{"behind=0", Have{Revision: newest.Revision, Digest: newest.Digest, Ours: true}},
		{"behind=100", have},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Next(keys, bench.have); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	for _, count := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", count), func(b *testing.B) {
			p := benched(b, count)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.makeCheckpoint(keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
