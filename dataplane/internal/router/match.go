package router

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"apigateway/proto/pattern"
)

// Match is what a request leads to.
type Match[T any] struct {
	Route *Route[T] // nil: no route, see Allow
	Allow string    // without a route: the methods that the path has, for the header Allow; "" if the path is not known

	path string
}

// Match returns the most specific route for a request. host is as wire.ParseHost returns it, without a port, and "" if the
// request names none, which matches only patterns without a host. path is as wire.CanonicalPath returns it. The result is
// false if there is no route; Allow says then whether one has another method.
func (t *Table[T]) Match(method, host, path string) (Match[T], bool) {
	if t == nil || path == "" || path[0] != '/' {
		return Match[T]{}, false
	}
	own, anyHost := t.hosts[host], t.anyHost
	route := own.find(path, method)
	if route == nil {
		route = anyHost.find(path, method)
	}
	if route != nil {
		return Match[T]{Route: route, path: path}, true
	}
	allowed := anyHost.collect(path, own.collect(path, nil))
	return Match[T]{Allow: allow(allowed), path: path}, false
}

// find returns the most specific route below n for what is left of a path: nothing, or a slash and segments. n may be nil.
func (n *node[T]) find(path, method string) *Route[T] {
	if n == nil {
		return nil
	}
	if path == "" || path == "/" {
		if route := n.exact.pick(method); route != nil {
			return route
		}
		return n.subtree.pick(method)
	}
	segment, rest := cut(path)
	if route := n.literal(segment).find(rest, method); route != nil {
		return route
	}
	if route := n.wildcard.find(rest, method); route != nil {
		return route
	}
	return n.subtree.pick(method)
}

// collect appends the methods of every route that covers a path.
func (n *node[T]) collect(path string, found []string) []string {
	if n == nil {
		return found
	}
	found = n.subtree.names(found)
	if path == "" || path == "/" {
		return n.exact.names(found)
	}
	segment, rest := cut(path)
	found = n.literal(segment).collect(rest, found)
	return n.wildcard.collect(rest, found)
}

// allow writes methods as the header Allow has them.
func allow(methods []string) string {
	if slices.Contains(methods, "GET") {
		methods = append(methods, "HEAD")
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// literal returns the node behind a segment as it stands in a path, nil if there is none.
func (n *node[T]) literal(segment string) *node[T] {
	if len(n.literals) == 0 {
		return nil
	}
	if strings.IndexByte(segment, '%') < 0 {
		return n.literals[segment]
	}
	return n.escapedLiteral(segment)
}

// escapedLiteral looks a segment up decoded. The buffer holds every literal that a pattern can have.
func (n *node[T]) escapedLiteral(segment string) *node[T] {
	var buf [pattern.MaxLength]byte
	decoded := buf[:0]
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' && i+2 < len(segment) {
			c = hexDigit(segment[i+1])<<4 | hexDigit(segment[i+2])
			i += 2
		}
		if len(decoded) == cap(decoded) {
			return nil
		}
		decoded = append(decoded, c)
	}
	return n.literals[string(decoded)]
}

// hexDigit returns the value of a digit of a canonical path, where they are in upper case.
func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'A' + 10
}

// cut takes the first segment off a path that has one.
func cut(path string) (segment, rest string) {
	path = path[1:]
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// Params yields the names of the pattern's wildcards and what they stand for in the path, decoded. Nothing is kept for
// it: a request whose parameters nobody wants pays nothing.
func (m Match[T]) Params() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		if m.Route == nil {
			return
		}
		path, p := m.path, &m.Route.Pattern
		for _, s := range p.Segments {
			segment, rest := cut(path)
			path = rest
			if s.Wild && !yield(s.Text, decode(segment)) {
				return
			}
		}
		if p.Rest != "" {
			yield(p.Rest, decode(strings.TrimPrefix(path, "/")))
		}
	}
}

// SetPathValues makes the parameters readable through r.PathValue.
func (m Match[T]) SetPathValues(r *http.Request) {
	for name, value := range m.Params() {
		r.SetPathValue(name, value)
	}
}

// decode decodes a part of a canonical path, whose escapes are all valid.
func decode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	decoded, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return decoded
}
