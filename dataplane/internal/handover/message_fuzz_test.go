//go:build unix

package handover

import (
	"errors"
	"strings"
	"testing"
)

// FuzzParse holds that a line is either the message that is awaited, in this version, or an error in one line.
func FuzzParse(f *testing.F) {
	for _, line := range []string{request, take, `{"version":2,"step":"take"}`, `{"step":"refused","error":"no\nway"}`, `{"version":1e999}`, "GET / HTTP/1.1\r\n", ""} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parse(line, stepTake)
		refused, isRefusal := errors.AsType[*refusedError](err)
		switch {
		case err == nil && (m.Version != version || m.Step != stepTake):
			t.Errorf("parse(%q) = %+v, want an error", line, m)
		case isRefusal && (m.Step != stepRefused || refused.reason != m.Error):
			t.Errorf("parse(%q) = %+v, %v, want the reason that was sent", line, m, err)
		case err != nil && strings.ContainsAny(err.Error(), "\r\n"):
			t.Errorf("parse(%q) = %q, want one line", line, err)
		}
	})
}
