// Package router finds the route of a request among patterns of package pattern, whose package comment says what matches
// and which of several wins. It is used while a snapshot is built (Build) and once per request (Match).
//
// A table is a tree of segments for each host, and one for the patterns without a host. A match walks down, at each
// segment the literal before the wildcard, and takes the first route that also has the method: as the order of
// specificity is decided from the left, that is the most specific one. It does not allocate, whatever the number of
// patterns. The walk never meets a node twice, so its cost is bounded by the nodes that could match.
//
// Paths are compared decoded once, segment by segment; %2F never separates two. A Table never changes and is safe for
// concurrent use.
package router

import (
	"fmt"

	"apigateway/proto/pattern"
)

// Route is a pattern and what it leads to.
type Route[T any] struct {
	Pattern pattern.Pattern
	Value   T
}

// Table routes requests. The zero value and nil have no routes; make others with Build.
type Table[T any] struct {
	hosts   map[string]*node[T]
	anyHost *node[T]
}

// node is a place in the tree of segments: the routes that end here, and what may come next.
type node[T any] struct {
	literals map[string]*node[T] // by decoded segment; nil if there is none
	wildcard *node[T]            // behind any segment; nil if there is none
	exact    methods[T]          // routes that end here with {$}
	subtree  methods[T]          // routes that cover what is below
}

// methods are the routes of one path, at most one for each method.
type methods[T any] struct {
	any  *Route[T] // for every other method; may be nil
	some []*Route[T]
}

// Build makes a table. It is an error if two patterns conflict.
func Build[T any](routes []Route[T]) (*Table[T], error) {
	t := &Table[T]{hosts: map[string]*node[T]{}, anyHost: &node[T]{}}
	for i := range routes {
		route := routes[i] // its own copy: the caller's slice may change, and one kept route keeps no others
		n := t.root(route.Pattern.Host)
		for _, s := range route.Pattern.Segments {
			n = n.next(s)
		}
		end := &n.subtree
		if route.Pattern.Exact {
			end = &n.exact
		}
		if other := end.add(&route); other != nil {
			return nil, fmt.Errorf("router: conflicting patterns, got %q (want nothing that equals %q but for names)", route.Pattern, other.Pattern)
		}
	}
	return t, nil
}

func (t *Table[T]) root(host string) *node[T] {
	if host == "" {
		return t.anyHost
	}
	n := t.hosts[host]
	if n == nil {
		n = &node[T]{}
		t.hosts[host] = n
	}
	return n
}

// next returns the node behind a segment of a pattern, and makes it if there is none.
func (n *node[T]) next(s pattern.Segment) *node[T] {
	if s.Wild {
		if n.wildcard == nil {
			n.wildcard = &node[T]{}
		}
		return n.wildcard
	}
	child := n.literals[s.Text]
	if child == nil {
		child = &node[T]{}
		if n.literals == nil {
			n.literals = map[string]*node[T]{}
		}
		n.literals[s.Text] = child
	}
	return child
}

// add takes a route in, or returns the one that has its method already.
func (m *methods[T]) add(route *Route[T]) (other *Route[T]) {
	if route.Pattern.Method == "" {
		other = m.any
		if other == nil {
			m.any = route
		}
		return other
	}
	if other = m.exactly(route.Pattern.Method); other == nil {
		m.some = append(m.some, route)
	}
	return other
}

func (m *methods[T]) exactly(method string) *Route[T] {
	for _, route := range m.some {
		if route.Pattern.Method == method {
			return route
		}
	}
	return nil
}

// pick returns the most specific route for a method, nil if there is none.
func (m *methods[T]) pick(method string) *Route[T] {
	if len(m.some) > 0 {
		if route := m.exactly(method); route != nil {
			return route
		}
		if method == "HEAD" {
			if route := m.exactly("GET"); route != nil {
				return route
			}
		}
	}
	return m.any
}

// names appends the methods that have a route of their own.
func (m *methods[T]) names(found []string) []string {
	for _, route := range m.some {
		found = append(found, route.Pattern.Method)
	}
	return found
}
