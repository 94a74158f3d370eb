package upstream

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestMixedService: each URL is spoken to as its scheme says, in turn.
func TestMixedService(t *testing.T) {
	b := backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	g := newGateway(t, newEngines, Settings{URLs: []string{b.URL, strings.Replace(b.URL, "http", "h2c", 1)}})
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/1.1", "HTTP/2.0"} {
		if status, body := g.get(t); status != 200 || body != want {
			t.Errorf("answer = %d %q, want %s", status, body, want)
		}
	}
}

// TestFromHTTP2ToHTTP1: what a backend of HTTP/2 has not begun with goes to one of HTTP/1.1, unless something of its body
// is on its way.
func TestFromHTTP2ToHTTP1(t *testing.T) {
	s := newScript(t, nil, func(c *scriptConn, _ int) {
		for {
			flags, stream, _, ok := c.next(frameHeaders)
			if !ok {
				return
			}
			if flags&flagEnd == 0 {
				_, _ = c.body()
			}
			c.reset(stream, refusedStream)
		}
	})
	for body, want := range map[string]int{"": 200, "hello": 502} {
		g := newGateway(t, newEngines, Settings{URLs: []string{s.url, named(t, "one").URL}})
		if status, _ := post(t, g, http.MethodPost, body); status != want {
			t.Errorf("answer to a body of %q = %d, want %d", body, status, want)
		}
	}
}
