package gatewayv1

import (
	"testing"

	"pgregory.net/rapid"
)

func TestDigestIsASum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entry := rapid.Custom(func(t *rapid.T) Digest {
			return EntryDigest(kindOf(t), rapid.String().Draw(t, "id"), rapid.SliceOf(rapid.Byte()).Draw(t, "value"))
		})
		a, b := entry.Draw(t, "a"), entry.Draw(t, "b")
		if a.Add(b) != b.Add(a) {
			t.Errorf("a+b = %v, b+a = %v", a.Add(b), b.Add(a))
		}
		if got := a.Add(b).Sub(b); got != a {
			t.Errorf("a+b-b = %v, want %v", got, a)
		}
		if got, err := ParseDigest(a.Bytes()); err != nil || got != a {
			t.Errorf("ParseDigest(Bytes()) = %v, %v, want %v", got, err, a)
		}
	})
}

func kindOf(t *rapid.T) Kind { return Kind(rapid.IntRange(1, 3).Draw(t, "kind")) }

func TestDigestTellsEntriesApart(t *testing.T) {
	base := EntryDigest(Kind_KIND_KEY, "ab", []byte("c"))
	for name, other := range map[string]Digest{
		"kind":          EntryDigest(Kind_KIND_SERVICE, "ab", []byte("c")),
		"id":            EntryDigest(Kind_KIND_KEY, "aB", []byte("c")),
		"value":         EntryDigest(Kind_KIND_KEY, "ab", []byte("d")),
		"moved border":  EntryDigest(Kind_KIND_KEY, "a", []byte("bc")),
		"nothing at it": {},
	} {
		if other == base {
			t.Errorf("%s: same digest %v", name, other)
		}
	}
}

func TestParseDigestRefusesOtherLengths(t *testing.T) {
	for _, n := range []int{1, 31, 33} {
		if _, err := ParseDigest(make([]byte, n)); err == nil {
			t.Errorf("ParseDigest of %d bytes succeeded, want an error", n)
		}
	}
	if d, err := ParseDigest(nil); err != nil || d != (Digest{}) {
		t.Errorf("ParseDigest(nil) = %v, %v, want the zero digest", d, err)
	}
}
