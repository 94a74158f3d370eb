package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxMistakes bounds what is said of a file that is wrong everywhere.
	maxMistakes = 1000
	// maxKept bounds what is kept until they can be put in order.
	maxKept = 20 * maxMistakes
)

// Mistake is one thing that is wrong in a file, and where. It never holds a secret.
type Mistake struct {
	File    string
	Line    int    // from 1; 0: the file as a whole
	Column  int    // from 1: of the name of an unknown field, otherwise of the value
	Path    string // of the setting, as services[0].urls[1]; empty: none
	Message string // the problem, got X (want Y)
}

// String returns file:line:column: path: message, without what there is none of.
func (m Mistake) String() string {
	s := m.File
	if m.Line > 0 {
		s += fmt.Sprintf(":%d:%d", m.Line, m.Column)
	}
	if m.Path != "" {
		s += ": " + m.Path
	}
	return s + ": " + m.Message
}

// Mistakes are ordered by their place in the file. None means that the file can be used.
type Mistakes []Mistake

// Error returns one mistake a line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = m[i].String()
	}
	return strings.Join(lines, "\n")
}

// inOrder returns the first maxMistakes by line and column. The last one of a cut list says how many are left out,
// those included that were not even kept.
func (m Mistakes) inOrder(omitted int) Mistakes {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if len(m) <= maxMistakes {
		return m
	}
	last := m[maxMistakes-1]
	last.Path = ""
	last.Message = fmt.Sprintf("and %d more", len(m)-maxMistakes+1+omitted)
	return append(slices.Clone(m[:maxMistakes-1]), last)
}
