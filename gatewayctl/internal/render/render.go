// Package render turns what the control plane answers into what gatewayctl prints: tables and lines for people, JSON
// for programs. Package cli uses it; it sends no request, reads no clock and holds no state between calls, so the same
// input always prints the same bytes (the tests compare them with testdata/*.golden). A value of Style may be shared;
// an Array or a KeyTable belongs to one goroutine.
//
// The names in JSON are a promise: none is ever renamed. Times are RFC 3339 in UTC or null, durations milliseconds in
// names that end in _ms, lists never null where an empty one means the same.
//
// Text from elsewhere (names of data planes, errors of backends) is printed without its control characters, so that
// it cannot move the cursor of whoever reads it.
package render

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Long is the number of rows up to which a table shows everything. A longer one shows what is not normal and counts
// the rest, unless Style.All is set.
const Long = 50

// none stands in a cell that has nothing to say.
const none = "–"

// Style says for whom a table is. The zero Style is plain text with times relative to the year 1.
type Style struct {
	// Now is what relative times count from.
	Now time.Time
	// Colour allows ANSI colours: only for a terminal.
	Colour bool
	// All shows every row of a long table.
	All bool
}

// SGR parameters of the colours that tables use; "" is the terminal's own.
const (
	plain  = ""
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint wraps text in a colour.
func (s Style) paint(text, colour string) string {
	if !s.Colour || colour == plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Clean makes text from elsewhere safe for one line of a terminal: whitespace becomes a space, what cannot be printed
// (control characters, escape sequences, marks that change direction) becomes the replacement character.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		default:
			return unicode.ReplacementChar
		}
	}, strings.TrimSpace(text))
}

// plural counts things whose plural ends in s.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// printer writes lines and keeps the first error, so that a function of many lines checks once.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) linef(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
