package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"apigateway/dataplane/internal/wire"
)

const host = "Host: a\r\n"

func get(lines string) string { return "GET / HTTP/1.1\r\n" + host + lines + "\r\n" }

func post(lines, body string) string { return "POST / HTTP/1.1\r\n" + host + lines + "\r\n" + body }

func chunks(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }

// TestPortable is about what the portable twin does itself: wait, read and find out that the client has sent all. What is let in is the matter
// of the conformance test in configs, and of the fuzz targets.
func TestPortable(t *testing.T) {
	const last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	tests := []struct{ name, send, statuses, saw string }{
		{"none", get(""), "200 200", "GET / a|GET /last a"},
		{"length", post("Content-Length: 5\r\n", "hello"), "200 200", "POST / a hello|GET /last a"},
		{"chunks", chunks("1\r\nh\r\n4;x\r\nello\r\n0\r\nT: 1\r\n\r\n"), "200 200", "POST / a hello|GET /last a"},
		{"expectation", post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"), "200 200", "POST / a hello|GET /last a"},
		{"malformed chunk", chunks("5\r\nhelloX0\r\n\r\n"), "400", "POST / a"},
		{"malformed head", get("X : y\r\n"), "400", ""},
	}
	for _, portable := range []bool{false, true} {
		for _, piece := range []int{1 << 20, 1} {
			h := new(witness)
			addr := serve(t, &Server{Handler: h, portable: portable})
			for _, tt := range tests {
				t.Run(fmt.Sprintf("portable=%v/piece=%d/%s", portable, piece, tt.name), func(t *testing.T) {
					got := ask(t, addr, tt.send+last, piece)
					if strings.TrimPrefix(statuses(got), "100 ") != tt.statuses { // a 100 may come, if the body was not there yet
						t.Errorf("answers %q, want statuses %s", got, tt.statuses)
					}
					if all := strings.Join(h.take(), "|"); all != tt.saw {
						t.Errorf("handler saw %q, want %q", all, tt.saw)
					}
				})
			}
		}
	}
}

// witness is a handler that notes what it saw.
type witness struct {
	mu  sync.Mutex
	all []string
}

func (h *witness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	target := r.URL.RawPath
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	saw := fmt.Sprintf("%s %s %s", r.Method, target, r.Host)
	if len(body) > 0 && err == nil {
		saw += " " + string(body)
	}
	h.mu.Lock()
	h.all = append(h.all, saw)
	h.mu.Unlock()
	if v, ok := errors.AsType[*wire.Violation](err); ok {
		w.WriteHeader(v.Status)
	}
}

// take returns what the handler saw since the last time.
func (h *witness) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

func TestRefusalHasItsCode(t *testing.T) {
	addr := serve(t, &Server{Handler: http.NotFoundHandler()})
	got := ask(t, addr, "GET /%00 HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n", 100)
	if statuses(got) != "400" || !strings.Contains(got, `"code":"bad_path_escape"`) || !strings.Contains(got, "Connection: close\r\n") {
		t.Errorf("answer %q, want problem+json with its code and Connection: close", got)
	}
	if got := ask(t, addr, "HEAD / HTTP/1.1\r\n\r\n", 100); statuses(got) != "400" || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("answer to HEAD %q, want no body", got)
	}
}
