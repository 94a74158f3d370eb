package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxMistakes bounds what is kept of a file that is wrong everywhere.
const maxMistakes = 1000

// Mistake is one thing that is wrong in a file, and where. It never holds a secret.
type Mistake struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1: of the name of an unknown field, otherwise of the value
	Path    string // of the setting, as services[0].urls[1]; empty: the file as a whole
	Message string // the problem, got X (want Y)
}

// String returns file:line:column: path: message.
func (m Mistake) String() string {
	if m.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", m.File, m.Line, m.Column, m.Path, m.Message)
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

// inOrder returns the first maxMistakes by line and column. The last one of a cut list says how many are left out.
func (m Mistakes) inOrder() Mistakes {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if len(m) <= maxMistakes {
		return m
	}
	last := m[maxMistakes-1]
	last.Path = ""
	last.Message = fmt.Sprintf("and %d more from here on", len(m)-maxMistakes+1)
	return append(slices.Clone(m[:maxMistakes-1]), last)
}
