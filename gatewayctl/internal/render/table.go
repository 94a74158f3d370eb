package render

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// gap is the number of spaces between two columns.
const gap = 2

// cell is one field of a table and its colour.
type cell struct {
	text   string
	colour string
}

// table aligns columns by runes. text/tabwriter would count colour sequences as text.
type table struct {
	style  Style
	widths []int
	rows   [][]cell
}

func newTable(s Style, header ...string) *table {
	t := &table{style: s, widths: make([]int, len(header))}
	cells := make([]cell, len(header))
	for i, h := range header {
		cells[i].text = h
	}
	t.row(cells...)
	return t
}

// row adds a row: as many cells as the header has.
func (t *table) row(cells ...cell) {
	for i := range cells {
		cells[i].text = Clean(cells[i].text)
		if cells[i].text == "" {
			cells[i].text = none
		}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cells[i].text))
	}
	t.rows = append(t.rows, cells)
}

// flush writes the rows added since the last flush. Columns only grow from one to the next, so that a long table can be
// written in pieces.
func (t *table) flush(w io.Writer) error {
	var out bytes.Buffer
	for _, row := range t.rows {
		for i, c := range row {
			out.WriteString(t.style.paint(c.text, c.colour))
			if i < len(row)-1 {
				out.WriteString(strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(c.text)+gap))
			}
		}
		out.WriteByte('\n')
	}
	t.rows = t.rows[:0]
	_, err := w.Write(out.Bytes())
	return err
}

// text is a cell without a colour.
func text(s string) cell { return cell{text: s} }
