package router_test

import (
	"net/url"
	"strings"

	"apigateway/dataplane/internal/router"
	"apigateway/proto/pattern"
)

// reference is the slow and obvious router: it looks at every pattern and keeps the most specific that matches.
func reference(routes []router.Route[int], method, host, path string) (value int, ok bool) {
	var best *pattern.Pattern
	for i := range routes {
		p := &routes[i].Pattern
		if matches(*p, method, host, path) && (best == nil || pattern.Compare(*p, *best) > 0) {
			best, value = p, routes[i].Value
		}
	}
	return value, best != nil
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
