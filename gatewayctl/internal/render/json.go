package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Object writes v, one of this package's types for JSON, as one line.
func Object(w io.Writer, v any) error {
	line, err := encode(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// encode is json.Marshal without the escapes that only HTML needs.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Array writes a JSON array element by element, one a line, and so needs memory for one element. Nothing is written
// before the first Add or Close. An array that ends in an error is left open on purpose: half a list must not read like
// a whole one.
type Array struct {
	w     *bufio.Writer
	begun bool
}

// NewArray returns an empty array that goes to w. Call Close at its end.
func NewArray(w io.Writer) *Array {
	return &Array{w: bufio.NewWriter(w)}
}

// Add writes one element.
func (a *Array) Add(v any) error {
	line, err := encode(v)
	if err != nil {
		return err
	}
	separator := ",\n "
	if !a.begun {
		a.begun, separator = true, "["
	}
	if _, err := a.w.WriteString(separator); err != nil {
		return err
	}
	_, err = a.w.Write(line)
	return err
}

// AddAll writes a page of elements as convert makes them.
func AddAll[T, J any](a *Array, page []T, convert func(T) J) error {
	for _, element := range page {
		if err := a.Add(convert(element)); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the array and writes what is buffered.
func (a *Array) Close() error {
	end := "]\n"
	if !a.begun {
		end = "[]\n"
	}
	if _, err := a.w.WriteString(end); err != nil {
		return err
	}
	return a.w.Flush()
}
