package grammar

import (
	"net/http"
	"strings"
	"testing"
)

// Every byte at every place of a word, beside bytes that make a subtraction borrow.
func TestIsValue(t *testing.T) {
	for _, fill := range []byte{'a', '\t', ' ', 0x80, 0xFF} {
		for at := range 19 {
			for c := range 256 {
				value := make([]byte, 19)
				for i := range value {
					value[i] = fill
				}
				value[at] = byte(c)
				if got, want := IsValue(value), c >= ' ' && c != 0x7F || c == '\t'; got != want {
					t.Errorf("IsValue(%q) = %v, want %v", value, got, want)
				}
			}
		}
	}
}

func TestCanonicalName(t *testing.T) {
	for _, name := range []string{"host", "X-API-KEY", "x--y", "-a", "a_b-c", "ETag", "te", "!#$%&'*+-.^_`|~09az", "x-a-", "WWW-Authenticate"} {
		got := []byte(name)
		if !Canonicalize(got) || string(got) != http.CanonicalHeaderKey(name) {
			t.Errorf("Canonicalize(%q) = %q, want %q", name, got, http.CanonicalHeaderKey(name))
		}
	}
	for _, name := range []string{"", "a b", "a:", "a\x00", "a\x7f", "\x80", "a(", "a\"", "a/b", "[a]", "a=", "{}", "a@b", ",", ";", "?", "<", "\\"} {
		if Canonicalize([]byte(name)) {
			t.Errorf("Canonicalize(%q) = true, want false", name)
		}
	}
	for _, names := range common {
		for _, name := range names {
			if got := CommonName([]byte(name)); got != name || http.CanonicalHeaderKey(name) != name {
				t.Errorf("CommonName(%q) = %q, want itself in canonical form", name, got)
			}
		}
	}
}

func TestChunkSize(t *testing.T) {
	for line, want := range map[string]int64{
		"0": 0, "aF": 0xaf, "000000000000001f": 0x1f, "7fffffffffffffff": 1<<63 - 1, "5;a": 5, "5 ;\ta = b;c=\"d\\\"e\"": 5,
		"5;" + strings.Repeat("a", MaxChunkLine-2): 5,
	} {
		if size, ok := ChunkSize([]byte(line)); !ok || size != want {
			t.Errorf("ChunkSize(%q) = %d, %v, want %d", line, size, ok, want)
		}
	}
	for _, line := range []string{
		"", " 5", "5 ", "+5", "-5", "0x5", "g", "00000000000000001", "8000000000000000", "ffffffffffffffff", "5;", "5;=", "5;a=", "5;a=\"", "5;a=\"\x01\"",
		"5;a=\"\\", "5;a\x00", "5 a", "5,a", "5;" + strings.Repeat("a", MaxChunkLine-1),
	} {
		if size, ok := ChunkSize([]byte(line)); ok {
			t.Errorf("ChunkSize(%q) = %d, want it refused", line, size)
		}
	}
}
