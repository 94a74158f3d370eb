package http1

import (
	"net/http"
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
				if got, want := isValue(value), c >= ' ' && c != 0x7F || c == '\t'; got != want {
					t.Errorf("isValue(%q) = %v, want %v", value, got, want)
				}
			}
		}
	}
}

func TestCanonicalName(t *testing.T) {
	for _, name := range []string{"host", "X-API-KEY", "x--y", "-a", "a_b-c", "ETag", "te", "!#$%&'*+-.^_`|~09az", "x-a-", "WWW-Authenticate"} {
		got := []byte(name)
		if !canonicalName(got) || string(got) != http.CanonicalHeaderKey(name) {
			t.Errorf("canonicalName(%q) = %q, want %q", name, got, http.CanonicalHeaderKey(name))
		}
	}
	for _, name := range []string{"", "a b", "a:", "a\x00", "a\x7f", "\x80", "a(", "a\"", "a/b", "[a]", "a=", "{}", "a@b", ",", ";", "?", "<", "\\"} {
		if canonicalName([]byte(name)) {
			t.Errorf("canonicalName(%q) = true, want false", name)
		}
	}
	for _, names := range commonNames {
		for _, name := range names {
			if got := commonName([]byte(name)); got != name || http.CanonicalHeaderKey(name) != name {
				t.Errorf("commonName(%q) = %q, want itself in canonical form", name, got)
			}
		}
	}
}
