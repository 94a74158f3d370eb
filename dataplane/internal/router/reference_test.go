package router_test

import (
	"net/url"
	"strings"
	"testing"

	"apigateway/dataplane/internal/router"
	"apigateway/proto/pattern"
)

// reference is the slow and obvious router: it looks at every pattern and keeps the most specific that matches.
func reference(routes []router.Route[int], method, host, path string) (value int, ok bool) {
	var best *pattern.Pattern
	for i := range routes {
		p := &routes[i].Pattern
		if matches(*p, method, host, path) && (best == nil || bySpecificity(*p, *best) > 0) {
			best, value = p, routes[i].Value
		}
	}
	return value, best != nil
}

// bySpecificity orders patterns by specificity: positive if a is more specific than b, negative if b is, 0 if they are equally
// specific. Equally specific patterns whose keys differ match no request together.
func bySpecificity(a, b pattern.Pattern) int {
	if a.Host != "" != (b.Host != "") {
		return len(a.Host) - len(b.Host)
	}
	for i := range max(len(a.Segments), len(b.Segments)) + 1 {
		if d := rank(a, i) - rank(b, i); d != 0 {
			return d
		}
	}
	return methodRank(a.Method) - methodRank(b.Method)
}

// rank is that of what stands at segment i. The segments beyond the end rank as the end does.
func rank(p pattern.Pattern, i int) int {
	switch {
	case i < len(p.Segments) && !p.Segments[i].Wild:
		return 3
	case i < len(p.Segments):
		return 2
	case p.Exact:
		return 1
	}
	return 0
}

func methodRank(method string) int {
	switch method {
	case "":
		return 0
	case "GET":
		return 1
	}
	return 2
}

// knownMethods returns the methods of the patterns that cover a path.
func knownMethods(routes []router.Route[int], host, path string) map[string]bool {
	found := map[string]bool{}
	for _, route := range routes {
		method := route.Pattern.Method
		if method == "" || !matches(route.Pattern, method, host, path) {
			continue
		}
		found[method] = true
		if method == "GET" {
			found["HEAD"] = true
		}
	}
	return found
}

func matches(p pattern.Pattern, method, host, path string) bool {
	hasMethod := p.Method == "" || p.Method == method || p.Method == "GET" && method == "HEAD"
	hasHost := p.Host == "" || p.Host == host
	if !hasMethod || !hasHost {
		return false
	}
	var segments []string
	if path = strings.Trim(path, "/"); path != "" {
		segments = strings.Split(path, "/")
	}
	if len(segments) < len(p.Segments) || p.Exact && len(segments) > len(p.Segments) {
		return false
	}
	for i, s := range p.Segments {
		if text, _ := url.PathUnescape(segments[i]); !s.Wild && text != s.Text {
			return false
		}
	}
	return true
}

// withoutConflicts parses patterns, leaves out those that are none or conflict with an earlier one, and numbers the rest.
func withoutConflicts(patterns []string) []router.Route[int] {
	var routes []router.Route[int]
	seen := map[string]bool{}
	for i, s := range patterns {
		p, err := pattern.Parse(s)
		if err != nil || seen[p.Key()] {
			continue
		}
		seen[p.Key()] = true
		routes = append(routes, router.Route[int]{Pattern: p, Value: i})
	}
	return routes
}

func TestReferenceOrder(t *testing.T) {
	order := []string{ // from the most specific
		"HEAD example.com/a", "GET example.com/a", "example.com/a", "example.com/",
		"GET /a/b/c", "/a/b/{x}", "/a/b/{$}", "/a/b", "/a/{x}/c", "/a/{x}/{$}", "/a/{x}", "/a/{$}", "POST /a", "GET /a", "/a",
		"/{x}/b", "/{x}", "/{$}", "GET /", "/",
	}
	for i, a := range order {
		for j, b := range order {
			got := bySpecificity(parsed(t, a), parsed(t, b))
			if got < 0 != (i > j) || got > 0 != (i < j) {
				t.Errorf("bySpecificity(%q, %q) = %d, want the sign of %d", a, b, got, j-i)
			}
		}
	}
	for _, same := range [][2]string{{"/a", "/b"}, {"a.example/x", "long.example/x"}, {"POST /", "PUT /"}, {"/{x}/a", "/{y}/b"}} {
		if got := bySpecificity(parsed(t, same[0]), parsed(t, same[1])); got != 0 {
			t.Errorf("bySpecificity(%q, %q) = %d, want 0", same[0], same[1], got)
		}
	}
}

func parsed(t *testing.T, s string) pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
