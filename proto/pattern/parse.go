package pattern

import (
	"fmt"
	"slices"
	"strings"
)

// Error says what is wrong with a pattern.
type Error struct {
	Pos     int    // byte offset in the pattern, from 0
	Problem string // lower case, no punctuation at the end
	Got     string // the part that is wrong
	Want    string // what to write instead, "" if that cannot be told
}

// Error returns the problem with its place, counted from 1.
func (e *Error) Error() string {
	if e.Want == "" {
		return fmt.Sprintf("character %d: %s, got %q", e.Pos+1, e.Problem, e.Got)
	}
	return fmt.Sprintf("character %d: %s, got %q (want %s)", e.Pos+1, e.Problem, e.Got, e.Want)
}

// Parse reads a pattern. The error is an *Error. The host is lower-cased and loses a final dot; everything else has to
// be written as String prints it, but for white space behind the method and one slash at the end.
func Parse(s string) (Pattern, error) {
	if len(s) > MaxLength {
		return Pattern{}, &Error{MaxLength, "pattern is too long", fmt.Sprintf("%d bytes", len(s)), fmt.Sprintf("at most %d", MaxLength)}
	}
	var p Pattern
	start := 0
	if i := strings.IndexAny(s, " \t"); i >= 0 && !strings.Contains(s[:i], "/") {
		p.Method = s[:i]
		start = len(s) - len(strings.TrimLeft(s[i:], " \t"))
		if err := checkMethod(p.Method); err != nil {
			return Pattern{}, err
		}
	}
	slash := strings.IndexByte(s[start:], '/')
	if slash < 0 {
		return Pattern{}, &Error{start, "no path", s[start:], fmt.Sprintf("%q, or %q for a host", "/"+s[start:], s[start:]+"/")}
	}
	if slash > 0 {
		host, err := parseHost(s[start:start+slash], start)
		if err != nil {
			return Pattern{}, err
		}
		p.Host = host
	}
	if err := p.parsePath(s, start+slash); err != nil {
		return Pattern{}, err
	}
	return p, nil
}

func checkMethod(method string) error {
	if method == "" {
		return &Error{0, "white space before the pattern", " ", "none"}
	}
	if method == "CONNECT" || method == "TRACE" {
		return &Error{0, "method is always refused by the gateway", method, ""}
	}
	for i := range len(method) {
		switch c := method[i]; {
		case 'a' <= c && c <= 'z':
			return &Error{i, "method is not in upper case", method, fmt.Sprintf("%q", strings.ToUpper(method))}
		case !isTokenByte(c):
			return &Error{i, "not a method", method, "a method such as GET, then a space"}
		}
	}
	return nil
}

func parseHost(s string, pos int) (string, error) {
	if i := strings.IndexAny(s, "{}*"); i >= 0 {
		return "", &Error{pos + i, "wildcard in the host", s, "a host name, or none to match every host"}
	}
	host, ok := CanonicalHost(s)
	if ok {
		return host, nil
	}
	if strings.HasSuffix(s, ":") {
		return "", &Error{pos, "scheme in the pattern", s, "the host alone"}
	}
	if i := strings.LastIndexByte(s, ':'); i > 0 {
		if host, ok := CanonicalHost(s[:i]); ok {
			return "", &Error{pos + i, "port in the host", s, fmt.Sprintf("%q", host)}
		}
	}
	return "", &Error{pos, "not a host", s, "a name, an IPv4 address or an IPv6 address in brackets"}
}

// parsePath reads the segments of s from pos on, where its first slash stands.
func (p *Pattern) parsePath(s string, pos int) error {
	wildcards := 0
	for pos < len(s)-1 { // a slash that ends the pattern means nothing
		pos++
		text, _, more := strings.Cut(s[pos:], "/")
		if text == "" {
			return &Error{pos, "empty segment", s[pos-1:], "a single slash"}
		}
		if strings.ContainsAny(text, "{}") {
			if wildcards++; wildcards > MaxWildcards {
				return &Error{pos, "too many wildcards", text, fmt.Sprintf("at most %d", MaxWildcards)}
			}
			if err := p.addWildcard(text, pos, more); err != nil {
				return err
			}
		} else {
			literal, err := parseLiteral(text, pos)
			if err != nil {
				return err
			}
			p.Segments = append(p.Segments, Segment{Text: literal})
		}
		pos += len(text)
	}
	return nil
}

func (p *Pattern) addWildcard(text string, pos int, more bool) error {
	name, opens := strings.CutPrefix(text, "{")
	name, closes := strings.CutSuffix(name, "}")
	if !opens || !closes || strings.ContainsAny(name, "{}") {
		return &Error{pos, "a wildcard has to be a whole segment", text, "{name}, {name...} or {$} between slashes"}
	}
	name, rest := strings.CutSuffix(name, "...")
	if more && (rest || name == "$") {
		return &Error{pos, "only the last segment can be this", text, "nothing behind it"}
	}
	if name == "$" && !rest {
		p.Exact = true
		return nil
	}
	if !isIdentifier(name) {
		return &Error{pos + 1, "not a wildcard's name", name, "letters, digits and underscores, not starting with a digit"}
	}
	if slices.Contains(p.Segments, Segment{Text: name, Wild: true}) {
		return &Error{pos + 1, "second wildcard of this name", name, "another name"}
	}
	if rest {
		p.Rest = name
	} else {
		p.Segments = append(p.Segments, Segment{Text: name, Wild: true})
	}
	return nil
}

// parseLiteral returns the decoded form of a segment that is written in the only allowed way.
func parseLiteral(text string, pos int) (string, error) {
	literal, bad := unescape(text)
	if bad >= 0 {
		return "", &Error{pos + bad, "bad percent-escape", text, "% and two hexadecimal digits, %25 for a percent sign"}
	}
	if strings.ContainsAny(literal, "\x00\\") {
		return "", &Error{pos, "NUL or backslash: no request with one is let in", text, ""}
	}
	if i := strings.IndexAny(text, "?#"); i >= 0 {
		return "", &Error{pos + i, "query or fragment in a path", text, "the path alone"}
	}
	for part := range strings.SplitSeq(literal, "/") {
		if part == "." || part == ".." {
			return "", &Error{pos, "dot segment: no request has one once it is let in", text, "the path without it"}
		}
	}
	if canonical := escape(literal); canonical != text {
		return "", &Error{pos, "not in canonical form", text, fmt.Sprintf("%q", canonical)}
	}
	return literal, nil
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if letter := 'a' <= c && c <= 'z' || s[i] == '_'; !letter && (i == 0 || s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return s != ""
}
