package configsync

import (
	"fmt"
	"testing"
	"time"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// follower is a data plane that follows a store with n keys and an open cache.
func follower(b *testing.B, n int) (*store, *dataplane) {
	b.Helper()
	dir, err := cache.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = dir.Close() }) // of a folder that goes
	s := standard()
	keysOf := make(map[cache.Ref][]byte, n)
	for i := range n {
		keysOf[key(fmt.Sprintf("key-%d", i))] = keyValue(fmt.Sprintf("secret-%d", i))
	}
	s.change(keysID, keysOf)
	d := newDataplane(b, dir)
	b.Cleanup(d.opts.Live.Close)
	d.replica.takeWelcome(s.welcome())
	for _, id := range []gatewayv1.Part{keysID, configID} {
		for _, c := range s.chunks(id, 5000) {
			if _, err := d.replica.takeChunk(c); err != nil {
				b.Fatal(err)
			}
		}
	}
	return s, d
}

// One key comes and goes, until both changes are on disk. It must not depend on the number of keys.
func BenchmarkKeyChange(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			s, d := follower(b, n)
			with := s.change(keysID, map[cache.Ref][]byte{key("alice"): keyValue("other")})
			without := s.change(keysID, map[cache.Ref][]byte{key("alice"): nil})
			b.ReportAllocs()
			for b.Loop() {
				for _, rec := range []*gatewayv1.Record{with, without} {
					if _, err := d.replica.takeRecords([]*gatewayv1.Record{rec}); err != nil {
						b.Fatal(err)
					}
					rec.Revision += 2
				}
			}
			if d.replica.keys.broken {
				b.Fatal("records were not applied")
			}
		})
	}
}

// From the files to a table that serves.
func BenchmarkRestart(b *testing.B) {
	for _, n := range []int{100_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			_, d := follower(b, n)
			dir := d.dir
			for b.Loop() {
				began := time.Now()
				next := newDataplane(b, dir)
				next.replica.endGrace()
				if next.hold.Load() == nil {
					b.Fatal("not served")
				}
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/start")
				next.opts.Live.Close()
			}
		})
	}
}

// The list that a checkpoint is written from: what the stream waits for when one is due.
func BenchmarkAll(b *testing.B) {
	for _, n := range []int{100_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			_, d := follower(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if got := len(d.replica.keys.all()); got < n { // and those of the standard store
					b.Fatalf("all = %d keys, want %d and more", got, n)
				}
			}
		})
	}
}
