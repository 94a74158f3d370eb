package configsync

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Messages against the protocol end the stream and change nothing.
func TestMessagesAgainstTheProtocol(t *testing.T) {
	state := func(s *store) *gatewayv1.PartState { return s.state[keysID] }
	tests := []struct {
		name string
		say  func(s *store, p *peer)
	}{
		{"record of no part", func(_ *store, p *peer) { p.say(&gatewayv1.Record{Revision: 3}) }},
		{"two parts in a run", func(s *store, p *peer) {
			p.say([]*gatewayv1.Record{s.change(keysID, map[cache.Ref][]byte{key("alice"): nil}), s.change(configID, nil)})
		}},
		{"run goes back", func(s *store, p *peer) {
			a, b := s.change(keysID, map[cache.Ref][]byte{key("alice"): nil}), s.change(keysID, nil)
			p.say([]*gatewayv1.Record{b, a})
		}},
		{"snapshot of no part", func(_ *store, p *peer) { p.say(&gatewayv1.SnapshotChunk{Last: true}) }},
		{"snapshot without beginning", func(s *store, p *peer) { p.say(&gatewayv1.SnapshotChunk{State: state(s), Index: 1, Last: true}) }},
		{"snapshot with a gap", func(s *store, p *peer) {
			p.say(&gatewayv1.SnapshotChunk{State: state(s)})
			p.say(&gatewayv1.SnapshotChunk{State: state(s), Index: 2, Last: true})
		}},
		{"snapshot with an entry twice", func(s *store, p *peer) {
			e := &gatewayv1.Entry{Kind: gatewayv1.Kind_KIND_KEY, Id: "alice", Value: keyValue("x")}
			p.say(&gatewayv1.SnapshotChunk{State: state(s), Entries: []*gatewayv1.Entry{e, e}, Last: true})
		}},
		{"snapshot with a wrong digest", func(s *store, p *peer) {
			e := &gatewayv1.Entry{Kind: gatewayv1.Kind_KIND_KEY, Id: "alice", Value: keyValue("x")}
			p.say(&gatewayv1.SnapshotChunk{State: state(s), Entries: []*gatewayv1.Entry{e}, Last: true})
		}},
		{"snapshot with a wrong count", func(s *store, p *peer) {
			p.say(&gatewayv1.SnapshotChunk{State: state(s), Last: true})
		}},
		{"snapshot of two revisions", func(s *store, p *peer) {
			p.say(&gatewayv1.SnapshotChunk{State: state(s)})
			s.change(keysID, nil)
			p.say(&gatewayv1.SnapshotChunk{State: state(s), Index: 1, Last: true})
		}},
		{"snapshot goes back", func(_ *store, p *peer) {
			p.say(&gatewayv1.SnapshotChunk{State: &gatewayv1.PartState{Part: keysID, Revision: 0}, Last: true})
		}},
		{"records within a snapshot", func(s *store, p *peer) {
			p.say(&gatewayv1.SnapshotChunk{State: state(s)})
			p.say(s.change(keysID, map[cache.Ref][]byte{key("alice"): nil}))
		}},
		{"message over the limit", func(s *store, p *peer) {
			p.say(s.change(keysID, map[cache.Ref][]byte{key("alice"): make([]byte, maxReceive)}))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := standard()
			filled(t, "", s, func(f *fleet, p *peer) {
				tt.say(s, p)
				<-p.gone
				if !f.admits("alice's") || f.serves() == nil {
					t.Error("something changed")
				}
				_, hello := f.next()
				if len(hello.GetParts()) != 2 {
					t.Errorf("Hello.parts = %v, want both", hello.GetParts())
				}
			})
		})
	}
}

func TestTooManyEntries(t *testing.T) {
	for _, id := range []gatewayv1.Part{configID, keysID} {
		t.Run(id.String(), func(t *testing.T) {
			s := standard()
			filled(t, "", s, func(f *fleet, p *peer) {
				announced := &gatewayv1.PartState{Part: id, Revision: 9, Count: gatewayv1.MaxKeys + 1}
				p.say([]*gatewayv1.SnapshotChunk{{State: announced}, {State: announced, Index: 1, Last: true}})
				if r := p.rejected(id); r.GetRevision() != 9 || !contains(r.GetReason(), "too large") {
					t.Errorf("Rejected = %v, want revision 9, too large", r)
				}
				p.heartbeat()
				if !f.admits("alice's") || f.serves() == nil {
					t.Error("something changed")
				}
			})
		})
	}
}

// A snapshot that never ends is refused before it fills the memory, and nothing of it is kept.
func TestStagingIsBounded(t *testing.T) {
	want := &gatewayv1.PartState{Part: configID, Revision: 9, Count: 3}
	s := &staging{want: want, entries: map[cache.Ref][]byte{}}
	const size = gatewayv1.MaxMessage - 100
	value := make([]byte, size)
	refused := 0
	for i := range uint32(2 * maxConfigBytes / size) {
		chunk := &gatewayv1.SnapshotChunk{State: want, Index: i, Entries: []*gatewayv1.Entry{{Kind: gatewayv1.Kind_KIND_SERVICE, Id: fmt.Sprint(i), Value: value}}}
		if s.add(chunk) != nil {
			refused++
		}
		if s.bytes > maxConfigBytes+2*int64(size) {
			t.Fatalf("chunk %d: %d bytes are staged, want at most about %d", i, s.bytes, maxConfigBytes)
		}
	}
	if refused != 1 || s.entries != nil {
		t.Errorf("refused %d times and kept %d entries, want once and none", refused, len(s.entries))
	}
}

// A record that contradicts its digest may be one of long ago: nobody gets in by it, not even until the part comes whole.
func TestDigestDiffersAdmitsNobody(t *testing.T) {
	s := standard()
	filled(t, t.TempDir(), s, func(f *fleet, p *peer) {
		p.say(s.change(keysID, map[cache.Ref][]byte{key("alice"): nil}))
		p.applied(keysID, 3)
		good := s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's")})
		bad := s.change(keysID, map[cache.Ref][]byte{key("alice"): keyValue("alice's"), key("bob"): nil})
		bad.DigestAfter = good.GetDigestAfter()
		p.say([]*gatewayv1.Record{good, bad})
		p.drifted()
		if f.admits("alice's") || f.admits("bob's") {
			t.Errorf("alice is in = %v, bob = %v, want false and false", f.admits("alice's"), f.admits("bob's"))
		}
	})
}

// A configuration that was not served yet, as more was to come, is served for want of a control plane. It is not reported to the
// next one: what came on top of it contradicted its digest, so Hello did not name it.
func TestDigestDiffersBeforeTheFirstService(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := standard()
		older := s.chunks(configID, 10)
		bad := proto.CloneOf(s.change(configID, map[cache.Ref][]byte{service("new"): serviceValue("/new")}))
		bad.DigestAfter[0] ^= 1
		p, _ := f.next()
		p.say(s.welcome())
		p.say(s.chunks(keysID, 10))
		p.say(older)
		p.say(bad)
		p.drifted()
		p.end <- nil
		<-f.Configured()
		p, hello := f.next()
		if len(hello.GetParts()) != 1 || hello.GetParts()[0].GetPart() != keysID {
			t.Errorf("Hello.parts = %v, want the keys", hello.GetParts())
		}
		p.say(s.welcome())
		p.say(s.chunks(configID, 10))
		p.applied(configID, 3)
	})
}

// Records that contradict their digest: the part is asked for whole, and what was removed stays removed meanwhile.
func TestDigestOfRecordsDiffers(t *testing.T) {
	for _, id := range []gatewayv1.Part{configID, keysID} {
		t.Run(id.String(), func(t *testing.T) {
			s := standard()
			filled(t, t.TempDir(), s, func(f *fleet, p *peer) {
				puts := map[cache.Ref][]byte{key("alice"): nil, key("bob"): keyValue("bob's")}
				if id == configID {
					puts = map[cache.Ref][]byte{service("users"): nil, service("new"): serviceValue("/new")}
				}
				rec := s.change(id, puts)
				good := slices.Clone(rec.DigestAfter)
				rec.DigestAfter[0] ^= 1
				p.say(rec)
				p.drifted()
				p.end <- nil
				p, hello := f.next()
				if len(hello.GetParts()) != 1 || hello.GetParts()[0].GetPart() == id {
					t.Errorf("Hello.parts = %v, want all but %v", hello.GetParts(), id)
				}
				if id == keysID && f.admits("alice's") {
					t.Error("alice is in")
				}
				if f.serves() == nil {
					t.Error("nothing is served")
				}
				s.state[id].Digest = good
				p.say(s.welcome())
				p.say(s.chunks(id, 1))
				p.applied(id, 3)
				p.say(s.change(keysID, map[cache.Ref][]byte{key("carol"): keyValue("carol's")}))
				p.applied(keysID, 4)
			})
		})
	}
}

// What serves changes behind the data plane's back: the check finds it and the part comes anew.
func TestDrift(t *testing.T) {
	s := standard()
	filled(t, t.TempDir(), s, func(f *fleet, p *peer) {
		check := func(id uint64, want string) {
			p.say(&gatewayv1.Command{Id: id, Action: &gatewayv1.Command_CheckDigest{CheckDigest: &gatewayv1.CheckDigestCommand{}}})
			p.result(id, want)
		}
		check(1, "")
		f.keys.Remove("alice")
		check(2, "what is served differs from revision 1")
		p.drifted()
		p.end <- nil
		p, _ = f.next()
		p.say(s.welcome())
		p.say(s.chunks(keysID, 10))
		p.applied(keysID, 1)
		if !f.admits("alice's") {
			t.Error("alice is still out")
		}
		check(3, "")
	})
}

func TestUnknownKindsAreKeptAndNamed(t *testing.T) {
	s := standard()
	filled(t, t.TempDir(), s, func(_ *fleet, p *peer) {
		p.say(s.change(keysID, map[cache.Ref][]byte{{Kind: 9, ID: "x"}: []byte("y")}))
		if a := p.applied(keysID, 3); len(a.GetUnusable()) != 1 {
			t.Errorf("unusable = %v, want one", a.GetUnusable())
		}
		p.say(s.change(configID, map[cache.Ref][]byte{key("alice"): keyValue("x")}))
		if r := p.rejected(configID); !contains(r.GetReason(), `"alice"`) {
			t.Errorf("Rejected = %v, want alice named", r)
		}
		p.say(s.change(keysID, map[cache.Ref][]byte{{Kind: 9, ID: "x"}: nil}))
		p.applied(keysID, 5)
	})
}
