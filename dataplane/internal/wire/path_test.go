package wire_test

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"apigateway/dataplane/internal/wire"
	"apigateway/proto/pattern"
)

func TestCanonicalPath(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"canonical", "/users/42", "/users/42"},
		{"root", "/", "/"},
		{"slash at the end stays", "/a/", "/a/"},
		{"every pchar", "/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"},
		{"parameters are kept", "/a;v=1/b;;", "/a;v=1/b;;"},
		{"unreserved escapes are decoded", "/%61%5A%30%2D%2e%5f%7E", "/aZ0-._~"},
		{"other escapes are kept in upper case", "/%3b%40%2F%c3%A9%20%0a%7f", "/%3B%40%2F%C3%A9%20%0A%7F"},
		{"decoded once", "/%2561%252e%252e", "/%2561%252e%252e"},
		{"what browsers send raw", "/a[1]|^", "/a%5B1%5D%7C%5E"},
		{"slashes are merged", "//a///b//", "/a/b/"},
		{"dot segments are removed", "/a/./b/../c", "/a/c"},
		{"dots at the end", "/a/b/..", "/a/"},
		{"dot at the end", "/a/.", "/a/"},
		{"never above the root", "/../../a/../..", "/"},
		{"slashes are merged first", "/a//../b", "/b"},
		{"encoded dots", "/a/%2e%2E/.%2e/%2e/b", "/b"},
		{"dots that are no dot segment", "/.../.a/..b/a..", "/.../.a/..b/a.."},
		{"%2F does not separate", "/a%2fb/../c%2F", "/c%2F"},
		{"%2F beside dots in a longer name", "/..a%2Fb..", "/..a%2Fb.."},
		{"%2F and an empty part", "/%2F%2F", "/%2F%2F"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, v := wire.CanonicalPath(tt.in)
			if v != nil || got != tt.want {
				t.Errorf("CanonicalPath(%q) = %q, %v, want %q", tt.in, got, v, tt.want)
			}
		})
	}
}

func TestCanonicalPathRefuses(t *testing.T) {
	tests := []struct {
		code string
		in   []string
	}{
		{"bad_request", []string{
			"", "a", "*", "http://a", "/ ", "/\t", "/\x00", "/\x7f", "/\\", "/é", "/\"", "/<", "/>", "/`", "/{", "/}", "/#", "/?",
			"/%", "/%2", "/%g0", "/%0g", "/%%41", "/%\x101", "/a%2", "/a/../%",
		}},
		{"bad_path_escape", []string{
			"/%5C", "/%5c..", "/a%00", "/..%2F", "/%2F..", "/a/%2e%2Fb", "/a%2f.%2fb", "/a%2F%2e%2E", "/..%2F../a", "/a%2F../..",
		}},
	}
	for _, tt := range tests {
		for _, in := range tt.in {
			if got, v := wire.CanonicalPath(in); v == nil || v.Code != tt.code || v.Status != 400 {
				t.Errorf("CanonicalPath(%q) = %q, %v, want %s", in, got, v, tt.code)
			}
		}
	}
}

func TestCanonicalPathProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkCanonical(t, rapid.StringMatching(`(/|\.|[a%;]|%2[eEfF]|%41|%5[bC]|[\[|@]){0,12}`).Draw(t, "path"))
	})
}

func FuzzCanonicalPath(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "/%2e%2E/%2Fa", "//a[|]^%5b", "/a%2F..", "/é", "/%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkCanonical(t, s) })
}

type fataler interface {
	Fatalf(format string, args ...any)
}

// checkCanonical holds a path against what its canonical form promises.
func checkCanonical(t fataler, in string) {
	got, v := wire.CanonicalPath(in)
	if v != nil {
		return
	}
	if again, v := wire.CanonicalPath(got); v != nil || again != got {
		t.Fatalf("CanonicalPath(%q) = %q, and of that %q, %v", in, got, again, v)
	}
	decoded, err := url.PathUnescape(got)
	if err != nil {
		t.Fatalf("CanonicalPath(%q) = %q, which net/url refuses: %v", in, got, err)
	}
	for segment := range strings.SplitSeq(decoded, "/") {
		if segment == "." || segment == ".." {
			t.Fatalf("CanonicalPath(%q) = %q has a dot segment", in, got)
		}
	}
	if strings.ContainsAny(decoded, "\x00\\") || strings.Contains(got, "//") || got[0] != '/' {
		t.Fatalf("CanonicalPath(%q) = %q", in, got)
	}
	if u := (&url.URL{Path: decoded, RawPath: got}); u.EscapedPath() != got {
		t.Fatalf("CanonicalPath(%q) = %q, but EscapedPath() = %q", in, got, u.EscapedPath())
	}
	if want, ok := decodedByURL(in); ok && want != decoded {
		t.Fatalf("CanonicalPath(%q) = %q, decoded %q, but net/url has %q", in, got, decoded, want)
	}
	checkPatternAgrees(t, got)
}

// decodedByURL decodes in with net/url, if nothing but escapes distinguishes it from its canonical form.
func decodedByURL(in string) (string, bool) {
	decoded, err := url.PathUnescape(in)
	segments := strings.Split(decoded, "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." || segment == "" && i != 0 && i != len(segments)-1 {
			return "", false
		}
	}
	return decoded, err == nil
}

// checkPatternAgrees makes sure that an operator can write down as a pattern what a client may send.
func checkPatternAgrees(t fataler, path string) {
	if len(path) > pattern.MaxLength/3 {
		return
	}
	var p pattern.Pattern
	for segment := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if text, _ := url.PathUnescape(segment); text != "" {
			p.Segments = append(p.Segments, pattern.Segment{Text: text})
		}
	}
	if _, err := pattern.Parse(p.String()); err != nil {
		t.Fatalf("%q is not a pattern although %q is let in: %v", p, path, err)
	}
}

func TestOutboundPath(t *testing.T) {
	tests := []struct {
		name string
		u    url.URL
		want string // "" if refused
	}{
		{"as it came in", url.URL{Path: "/a/b", RawPath: "/a%2Fb"}, "/a%2Fb"},
		{"path alone was rewritten", url.URL{Path: "/x y", RawPath: "/a%2Fb"}, "/x%20y"},
		{"prefix was stripped whole", url.URL{}, "/"},
		{"rewritten carelessly", url.URL{Path: "/v1//../b"}, "/b"},
		{"no slash", url.URL{Path: "b"}, ""},
		{"backslash", url.URL{Path: `/a\b`}, ""},
		{"line end in the query", url.URL{Path: "/", RawQuery: "a\r\nb"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, v := wire.OutboundPath(&tt.u)
			if v != nil != (tt.want == "") || v == nil && got != tt.want {
				t.Errorf("OutboundPath(%+v) = %q, %v, want %q", tt.u, got, v, tt.want)
			}
		})
	}
}
