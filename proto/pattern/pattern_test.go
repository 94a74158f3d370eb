package pattern_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"apigateway/proto/pattern"
)

func TestParse(t *testing.T) {
	literal := func(s string) pattern.Segment { return pattern.Segment{Text: s} }
	wild := func(s string) pattern.Segment { return pattern.Segment{Text: s, Wild: true} }
	tests := []struct {
		in      string
		want    pattern.Pattern
		written string // what String gives, "" if it is in
	}{
		{in: "/", want: pattern.Pattern{}},
		{in: "/users", want: pattern.Pattern{Segments: []pattern.Segment{literal("users")}}},
		{in: "/users/", want: pattern.Pattern{Segments: []pattern.Segment{literal("users")}}, written: "/users"},
		{in: "/{$}", want: pattern.Pattern{Exact: true}},
		{in: "/users/{$}", want: pattern.Pattern{Segments: []pattern.Segment{literal("users")}, Exact: true}},
		{in: "/{all...}", want: pattern.Pattern{Rest: "all"}},
		{in: "GET /a/{id}/b/{rest...}", want: pattern.Pattern{
			Method: "GET", Segments: []pattern.Segment{literal("a"), wild("id"), literal("b")}, Rest: "rest",
		}},
		{in: "M-SEARCH \t Example.COM./a", want: pattern.Pattern{
			Method: "M-SEARCH", Host: "example.com", Segments: []pattern.Segment{literal("a")},
		}, written: "M-SEARCH example.com/a"},
		{in: "[2001:DB8:0::1]/", want: pattern.Pattern{Host: "[2001:db8::1]"}, written: "[2001:db8::1]/"},
		{in: "/a%2Fb;v=1/@me/100%25", want: pattern.Pattern{
			Segments: []pattern.Segment{literal("a/b;v=1"), literal("@me"), literal("100%")},
		}},
		{in: "/caf%C3%A9/%7Bx%7D", want: pattern.Pattern{Segments: []pattern.Segment{literal("café"), literal("{x}")}}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := pattern.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.in, diff)
			}
			want := tt.written
			if want == "" {
				want = tt.in
			}
			if got.String() != want {
				t.Errorf("String() = %q, want %q", got, want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", `character 1: no path, got "" (want "/", or "/" for a host)`},
		{"no slash", "users", `character 1: no path, got "users" (want "/users", or "users/" for a host)`},
		{"no path behind a method", "GET users", `character 5: no path, got "users" (want "/users", or "users/" for a host)`},
		{"too long", "/" + strings.Repeat("a", 1024), `character 1025: pattern is too long, got "1025 bytes" (want at most 1024)`},
		{"leading space", " /users", `character 1: white space before the pattern, got " " (want none)`},
		{"lower-case method", "get /users", `character 1: method is not in upper case, got "get" (want "GET")`},
		{"not a method", "GET,POST /users", `character 4: not a method, got "GET,POST" (want a method such as GET, then a space)`},
		{"method never let in", "TRACE /", `character 1: method is always refused by the gateway, got "TRACE"`},
		{"wildcard host", "*.example.com/", `character 1: wildcard in the host, got "*.example.com" (want a host name, or none to match every host)`},
		{"host with port", "example.com:80/", `character 12: port in the host, got "example.com:80" (want "example.com")`},
		{"scheme", "http://example.com/", `character 1: scheme in the pattern, got "http:" (want the host alone)`},
		{"bad IPv4", "1.2.3.400/", `character 1: not a host, got "1.2.3.400" (want a name, an IPv4 address or an IPv6 address in brackets)`},
		{"empty segment", "/a//b", `character 4: empty segment, got "//b" (want a single slash)`},
		{"partial wildcard", "/a/v{n}", `character 4: a wildcard has to be a whole segment, got "v{n}" (want {name}, {name...} or {$} between slashes)`},
		{"unclosed wildcard", "/{n", `character 2: a wildcard has to be a whole segment, got "{n" (want {name}, {name...} or {$} between slashes)`},
		{"exact in the middle", "/{$}/a", `character 2: only the last segment can be this, got "{$}" (want nothing behind it)`},
		{"rest in the middle", "/{r...}/a", `character 2: only the last segment can be this, got "{r...}" (want nothing behind it)`},
		{"bad name", "/{1st}", `character 3: not a wildcard's name, got "1st" (want letters, digits and underscores, not starting with a digit)`},
		{"name twice", "/{x}/{x...}", `character 7: second wildcard of this name, got "x" (want another name)`},
		{"too many wildcards", manyWildcards(17), `character 66: too many wildcards, got "{q}" (want at most 16)`},
		{"bad escape", "/a/50%", `character 6: bad percent-escape, got "50%" (want % and two hexadecimal digits, %25 for a percent sign)`},
		{"control byte as digit", "/%\x101", `character 2: bad percent-escape, got "%\x101" (want % and two hexadecimal digits, %25 for a percent sign)`},
		{"backslash", "/a%5Cb", `character 2: NUL or backslash: no request with one is let in, got "a%5Cb"`},
		{"query", "/a?b=c", `character 3: query or fragment in a path, got "a?b=c" (want the path alone)`},
		{"dot segment", "/a/../b", `character 4: dot segment: no request has one once it is let in, got ".." (want the path without it)`},
		{"dot segment behind %2F", "/a%2F..", `character 2: dot segment: no request has one once it is let in, got "a%2F.." (want the path without it)`},
		{"unreserved escape", "/%61bc", `character 2: not in canonical form, got "%61bc" (want "abc")`},
		{"lower-case escape", "/a%2fb", `character 2: not in canonical form, got "a%2fb" (want "a%2Fb")`},
		{"unescaped", "/café|", `character 2: not in canonical form, got "café|" (want "caf%C3%A9%7C")`},
		{"space at the end", "/users ", `character 2: not in canonical form, got "users " (want "users%20")`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := pattern.Parse(tt.in)
			if err == nil {
				t.Fatalf("Parse(%q) = %q, want an error", tt.in, p)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func manyWildcards(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("/{" + string(rune('a'+i)) + "}")
	}
	return b.String()
}

func TestKey(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"/users", "/users/", true},
		{"/users", "/users/{rest...}", true},
		{"/users/{id}", "/users/{name}", true},
		{"GET /users/{id}/x/{$}", "GET /users/{n}/x/{$}", true},
		{"/users", "/users/{$}", false},
		{"/users", "GET /users", false},
		{"GET /users", "HEAD /users", false},
		{"/users", "example.com/users", false},
		{"Example.com/users", "example.com./users", true},
		{"a.example.com/users", "b.example.com/users", false},
		{"/a/{x}", "/{y}/b", false},
		{"/a%2Fb", "/a/b", false},
		{"/{x}", "/%7Bx%7D", false},
	}
	for _, tt := range tests {
		a, b := parse(t, tt.a), parse(t, tt.b)
		if got := a.Key() == b.Key(); got != tt.want {
			t.Errorf("Key() of %q and %q equal: %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestCanonicalHost(t *testing.T) {
	tests := []struct {
		in, want string
		ok       bool
	}{
		{"example.com", "example.com", true},
		{"Example.COM.", "example.com", true},
		{"my_service-1", "my_service-1", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"[::1]", "[::1]", true},
		{"[2001:DB8:0:0::1]", "[2001:db8::1]", true},
		{strings.Repeat("a", 63) + ".b", strings.Repeat("a", 63) + ".b", true},
		{"", "", false},
		{".", "", false},
		{"a..b", "", false},
		{".a", "", false},
		{"a..", "", false},
		{"a b", "", false},
		{"a%41", "", false},
		{"é", "", false},
		{"127.1", "", false},
		{"127.0.0.01", "", false},
		{"[::1", "", false},
		{"[127.0.0.1]", "", false},
		{"[fe80::1%25eth0]", "", false},
		{"[fe80::1%eth0]", "", false},
		{"::1", "", false},
		{"example.com:80", "", false},
		{strings.Repeat("a", 64), "", false},
		{strings.Repeat("a.", 126) + "aa", "", false},
	}
	for _, tt := range tests {
		got, ok := pattern.CanonicalHost(tt.in)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("CanonicalHost(%q) = %q, %v, want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

// Canonical means: written again and read again, nothing changes.
func TestStringAndParseAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`((GET|POST) )?([aA]\.b|\[::1\])?(/([a-c%;@]|%2F|%25|\{[xyz]\}){1,3}){0,4}(/|/\{\$\}|/\{r\.\.\.\})?`).Draw(t, "pattern")
		p, err := pattern.Parse(in)
		if err != nil {
			return
		}
		again, err := pattern.Parse(p.String())
		if err != nil {
			t.Fatalf("Parse(%q), written as %q: %v", in, p, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatalf("Parse(%q), written as %q (-first +again):\n%s", in, p, diff)
		}
	})
}

func parse(t *testing.T, s string) pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
