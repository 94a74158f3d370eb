package configsync

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// departs reports whether a stream is marked as that of a departing process.
func (p *peer) departs() bool {
	return len(metadata.ValueFromIncomingContext(p.Context(), gatewayv1.DepartingHeader)) > 0
}

// handOver begins a hand-over and plays the control plane until it is done.
func (f *fleet) handOver(s *store, from *peer) *peer {
	f.t.Helper()
	done := make(chan error, 1)
	go func() { done <- f.HandOver(f.t.Context()) }()
	from.ends()
	p, hello := f.next()
	if !p.departs() || len(hello.GetParts()) != 2 {
		f.t.Errorf("stream departs %v with %v, want it marked, with both parts", p.departs(), hello.GetParts())
	}
	p.say(s.welcome())
	if err := <-done; err != nil {
		f.t.Fatal(err)
	}
	return p
}

// ends waits for the data plane's last word and ends the stream.
func (p *peer) ends() {
	for ok := true; ok; {
		_, ok = <-p.got // until it has said everything
	}
	p.end <- nil
}

func (p *peer) revoke(s *store, name string) *gatewayv1.Applied {
	p.t.Helper()
	p.say(s.change(keysID, map[cache.Ref][]byte{key(name): nil}))
	return p.applied(keysID, s.head)
}

func TestHandOver(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, func(f *fleet, p *peer) {
		departing := f.handOver(s, p)
		if err := f.dir.Close(); err != nil {
			t.Error(err)
		}
		if got := f.serves(); len(got) != 1 {
			t.Errorf("serves %q, want it to go on", got)
		}
		if departing.revoke(s, "alice"); f.admits("alice's") {
			t.Error("alice is admitted, want the revocation to be in force in a departing process too")
		}
		departing.end <- status.Error(codes.Unavailable, "restart")
		if again, _ := f.next(); !again.departs() {
			t.Error("the next stream is that of the id's holder, want it to be a departing process's")
		}
	})
	serve(t, dir, func(f *fleet) {
		if !f.admits("alice's") {
			t.Error("the cache was written after it was handed over")
		}
	})
}

// Nobody took over: the id's stream comes back, and what was changed meanwhile and afterwards is kept.
func TestTakeBack(t *testing.T) {
	for _, when := range []string{"nothing changed", "changed meanwhile"} {
		t.Run(when, func(t *testing.T) {
			dir, s := t.TempDir(), standard()
			s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's"), key("carol"): keyValue("carol's")})
			filled(t, dir, s, func(f *fleet, p *peer) {
				departing := f.handOver(s, p)
				if err := f.dir.Close(); err != nil {
					t.Error(err)
				}
				if when == "changed meanwhile" {
					departing.revoke(s, "alice")
				}
				back, err := cache.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = back.Close() }()
				done := make(chan error, 1)
				go func() { done <- f.TakeBack(f.t.Context(), back) }()
				departing.ends()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				again, _ := f.next()
				if again.departs() {
					t.Error("the stream is marked as a departing process's")
				}
				again.say(s.welcome())
				if a := again.revoke(s, "bob"); a.GetNotDurable() {
					t.Error("Applied.not_durable after the cache was taken back")
				}
			})
			serve(t, dir, func(f *fleet) {
				if f.admits("alice's") != (when == "nothing changed") || f.admits("bob's") || !f.admits("carol's") {
					t.Errorf("after a restart: alice %v, bob %v, carol %v", f.admits("alice's"), f.admits("bob's"), f.admits("carol's"))
				}
			})
		})
	}
}

// What the other process would not find in the cache is not handed over.
func TestHandOverNeedsTheCache(t *testing.T) {
	s := standard()
	serve(t, "", func(f *fleet) {
		p, _ := f.next()
		p.bring(s)
		done := make(chan error, 1)
		go func() { done <- f.HandOver(f.t.Context()) }()
		p.ends()
		if err := <-done; err == nil || !strings.Contains(err.Error(), "not in the cache") {
			t.Errorf("HandOver() = %v, want an error", err)
		}
		if again, _ := f.next(); again.departs() {
			t.Error("the stream is marked as a departing process's")
		}
	})
}

// Without a control plane a hand-over waits for no stream.
func TestHandOverAlone(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, func(f *fleet, p *peer) {
		for range cap(f.refuse) {
			f.refuse <- status.Error(codes.Unavailable, "away")
		}
		p.end <- nil
		if err := f.HandOver(f.t.Context()); err != nil {
			t.Errorf("HandOver() = %v, want nil", err)
		}
	})
}
