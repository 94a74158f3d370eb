package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
)

// keptLines of a process are repeated when it fails.
const keptLines = 10

// longestLine bounds what is held back waiting for the end of a line, in bytes.
const longestLine = 64 << 10

// console is one terminal that many processes share: lines never mix. Safe for concurrent use.
type console struct {
	mu    sync.Mutex
	w     io.Writer
	width int // of the longest name
}

func (c *console) line(name string, text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.w, "%-*s | %s\n", c.width, name, text)
}

func (c *console) printf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.w, format, args...)
}

// output is a process's stdout and stderr. One goroutine writes; the others may look once the process has ended.
type output struct {
	name    string
	console *console
	partial []byte
	last    []string // at most keptLines
}

// Write passes each complete line on. It never fails, for a closed terminal must not stop a process.
func (o *output) Write(p []byte) (int, error) {
	o.partial = append(o.partial, p...)
	for {
		text, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found {
			break
		}
		o.emit(text)
		o.partial = rest
	}
	if len(o.partial) > longestLine {
		o.flush()
	}
	return len(p), nil
}

// flush passes on what has no line end.
func (o *output) flush() {
	if len(o.partial) > 0 {
		o.emit(o.partial)
		o.partial = nil
	}
}

func (o *output) emit(text []byte) {
	text = bytes.TrimSuffix(text, []byte("\r"))
	o.console.line(o.name, text)
	if len(o.last) == keptLines {
		o.last = slices.Delete(o.last, 0, 1)
	}
	o.last = append(o.last, string(text))
}
