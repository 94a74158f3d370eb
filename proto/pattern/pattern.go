// Package pattern is the grammar of route_pattern, the same for both planes: the control plane checks a file with it, the
// data plane's router is built from it. It does no I/O; every function is safe for concurrent use.
//
// # Grammar
//
//	[METHOD ][HOST]/PATH
//
// METHOD is upper case; without one, every method matches. GET matches HEAD too. HOST is a name, an IPv4 address or an
// IPv6 address in brackets, without a port; without one, every host matches, and so does a request that names none. A
// segment of PATH is a literal, or {name}, which matches one segment that is not empty. The last one may also be
// {rest...}, which matches what is left, even nothing, or {$}, which ends the pattern.
//
// A literal is written in the one form that String prints: RFC 3986's pchar as it is, everything else percent-escaped
// in upper case. Literals and requests are compared decoded once, so %40 in a request is @ here, and %2F is a byte of a
// segment that never separates two.
//
// # What matches
//
// A pattern covers its subtree: /users matches /users and /users/42, never /usersX; / matches everything. With {$} it
// covers itself only: /users/{$} matches /users, not /users/42. A slash at the end means nothing, in a pattern as in a
// path: /users/ is /users, as operators know it from prefix routes elsewhere (net/http would redirect). {rest...}
// covers just what the pattern would without it; it gives a name to what is below.
//
// # Which one wins
//
// Of the patterns that match a request, method included, the most specific host wins, then path, then method:
//
//   - a host is more specific than none;
//   - paths are compared segment by segment from the left, and the first difference in kind decides: a literal is more
//     specific than {name}, {name} than the end by {$}, and that than the end of a subtree;
//   - HEAD is more specific than GET, and any method than none.
//
// A pattern that matches a part of what another matches is always the more specific one, as in net/http. What net/http
// calls a conflict, such as /a/{x} and /{y}/b, is decided here by the leftmost segment. So two patterns are equally
// specific for some request only if they differ in nothing but the names of wildcards: that is a conflict.
package pattern

import "strings"

// Limits of a pattern. They bound what a match costs, and what an error message quotes.
const (
	MaxLength    = 1024 // bytes of a pattern as written
	MaxWildcards = 16   // {name} and {rest...} together
)

// Segment is one segment of a path between two slashes.
type Segment struct {
	Text string // the literal, decoded; or the wildcard's name
	Wild bool   // {Text} rather than a literal
}

// Pattern is a parsed route_pattern. The zero value matches everything, as "/" does. It is not changed once made.
type Pattern struct {
	Method   string    // upper case; "" matches every method
	Host     string    // canonical, see CanonicalHost; "" matches every host and a request without one
	Segments []Segment // none for "/"
	Exact    bool      // ends in {$}: nothing below is covered
	Rest     string    // name of a final {name...}, "" without one; never together with Exact
}

// String returns the pattern as it should be written. Parse gives the same pattern back.
func (p Pattern) String() string {
	var b strings.Builder
	if p.Method != "" {
		b.WriteString(p.Method + " ")
	}
	b.WriteString(p.Host)
	for _, s := range p.Segments {
		b.WriteByte('/')
		if s.Wild {
			b.WriteString("{" + s.Text + "}")
		} else {
			b.WriteString(escape(s.Text))
		}
	}
	switch {
	case p.Exact:
		b.WriteString("/{$}")
	case p.Rest != "":
		b.WriteString("/{" + p.Rest + "...}")
	case len(p.Segments) == 0:
		b.WriteByte('/')
	}
	return b.String()
}

// Key returns the pattern without the names of its wildcards. Two patterns conflict exactly if their keys are equal, so
// a map of keys finds the conflicts of many patterns at once.
func (p Pattern) Key() string {
	bare := p
	bare.Rest = ""
	bare.Segments = make([]Segment, len(p.Segments))
	for i, s := range p.Segments {
		if s.Wild {
			s.Text = ""
		}
		bare.Segments[i] = s
	}
	return bare.String()
}
