package snapshot

import (
	"strings"
	"testing"
)

// Whatever the bytes are, Build answers: it never panics (a recovered panic is a mistake of ours as well), and what it
// accepts has the digest of its bytes.
func FuzzBuild(f *testing.F) {
	f.Add(settings(nil), "users", users(nil))
	f.Add(settings(nil), "", users(nil)[:9])
	f.Add([]byte{}, "x", []byte{0x0a, 0x02, '/', 0xff})
	fix := newFixture(f, nil)
	f.Fuzz(func(t *testing.T, settings []byte, name string, service []byte) {
		s := stateOf(settings, map[string][]byte{name: service, "users": users(nil)})
		next, why := Build(s, fix.live)
		switch {
		case why != nil && next != nil, why == nil && next == nil:
			t.Fatalf("Build = %v, %v, want one of them", next, why)
		case why != nil && len(why.Reason) == 0:
			t.Fatal("rejection without a reason")
		case why == nil && next.Recompute() != s.Digest:
			t.Fatalf("Recompute = %v, want %v", next.Recompute(), s.Digest)
		case why != nil && strings.Contains(why.Reason, "panic while"):
			t.Fatal(why.Reason)
		}
		if next != nil {
			fix.hold.Publish(next, fix.live)
		}
	})
}
