package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const (
	// MaxBytes bounds a configuration file in bytes. 100,000 services written at length are 50 MB.
	MaxBytes = 64 << 20
	// maxMarks bounds the marks (see countMarks) of a file, and with them the memory that its tree takes: two nodes of
	// 200 bytes a mark. 100,000 services like the one in configs/gateway.yaml have 1.8 million.
	maxMarks = 4_000_000
)

// parseTree turns a file into the tree of its one document. A nil tree comes with a mistake. Nothing that data holds ends
// the process: yaml.v3 is known to panic, though the known input ("{{},<<}") does so only behind the tree.
func parseTree(data []byte) (root *yaml.Node, m *Mistake) {
	defer func() {
		if recover() != nil {
			root, m = nil, &Mistake{Line: 1, Column: 1, Message: "not YAML, and no place can be told"}
		}
	}()
	if m := checkBytes(data); m != nil {
		return nil, m
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, syntaxMistake(err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null" {
		return nil, &Mistake{Line: 1, Column: 1, Message: "empty file (want services)"}
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	case err != nil:
		return nil, syntaxMistake(err)
	}
	return nil, &Mistake{Line: second.Line, Column: second.Column, Message: "second YAML document, got --- or ... (want one document)"}
}

// checkBytes refuses what would cost the YAML parser too much or what it reports without a place.
func checkBytes(data []byte) *Mistake {
	if len(data) > MaxBytes {
		return &Mistake{Line: 1, Column: 1, Message: fmt.Sprintf("file too large, got %d bytes (want at most %d)", len(data), MaxBytes)}
	}
	if at := firstBadByte(data); at >= 0 {
		line := 1 + bytes.Count(data[:at], []byte("\n"))
		column := at - bytes.LastIndexByte(data[:at], '\n')
		return &Mistake{Line: line, Column: column, Message: fmt.Sprintf("not text, got byte 0x%02x (want UTF-8 without control characters)", data[at])}
	}
	if n := countMarks(data); n > maxMarks {
		return &Mistake{Line: 1, Column: 1, Message: fmt.Sprintf("too many values, got about %d (want at most %d)", n, maxMarks)}
	}
	return nil
}

// firstBadByte returns where data stops being UTF-8 without control characters, -1 if nowhere.
func firstBadByte(data []byte) int {
	for i := 0; i < len(data); {
		if c := data[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// countMarks counts what can begin a node in YAML: each mark begins at most two (a key and its value).
func countMarks(data []byte) int {
	n := 0
	for i, c := range data {
		switch c {
		case ',', '[', '{':
			n++
		case ':', '-', '?':
			// An indicator only before white space, or in JSON's style behind a quote or bracket.
			if i+1 == len(data) || strings.IndexByte(" \t\r\n,[]{}", data[i+1]) >= 0 || i > 0 && strings.IndexByte(`"'}]`, data[i-1]) >= 0 {
				n++
			}
		}
	}
	return n
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxMistake gives an error of yaml.v3 its place.
func syntaxMistake(err error) *Mistake {
	m := &Mistake{Line: 1, Column: 1, Message: "not YAML"}
	parts := yamlError.FindStringSubmatch(err.Error())
	if parts == nil {
		return m
	}
	if line, err := strconv.Atoi(parts[1]); err == nil {
		m.Line = line
		if strings.HasPrefix(parts[2], "did not find expected") {
			m.Line++ // yaml.v3 counts the lines of its parser's errors from 0, those of its scanner's from 1
		}
	}
	m.Message += ", " + parts[2]
	if strings.HasPrefix(parts[2], "unknown anchor") { // what it quotes may be a key that begins with an asterisk
		m.Message = "alias of an unknown anchor (quote a value that begins with *)"
	}
	return m
}
