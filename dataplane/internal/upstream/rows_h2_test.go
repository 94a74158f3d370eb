package upstream

import (
	"io"
	"net/http"
	"testing"
	"time"

	"apigateway/dataplane/internal/exchange"
)

// TestRefusedResponsesH2 is the row of HTTP.md about what is a 502, over HTTP/2.
func TestRefusedResponsesH2(t *testing.T) {
	interims := func(n int) func(c *scriptConn, stream uint32) {
		return func(c *scriptConn, stream uint32) {
			for range n {
				c.headers(stream, false, ":status", "102")
			}
			c.headers(stream, true, ":status", "204")
		}
	}
	head := func(fields ...string) func(c *scriptConn, stream uint32) {
		return func(c *scriptConn, stream uint32) { c.headers(stream, true, fields...) }
	}
	many := []string{":status", "200"}
	for range maxFields + 1 {
		many = append(many, "x-a", "1")
	}
	tests := []struct {
		name   string
		answer func(c *scriptConn, stream uint32)
		status int
	}{
		{"8 interim responses", interims(8), 204},
		{"9 interim responses", interims(9), 502},
		{"unasked 101", head(":status", "101"), 502},
		{"status 600", head(":status", "600"), 502},
		{"status of two digits", head(":status", "20"), 502},
		{"status with a sign", head(":status", "+200"), 502},
		{"no status", head("x-a", "1"), 502},
		{"length twice", head(":status", "204", "content-length", "0", "content-length", "0"), 502},
		{"length with zeros", head(":status", "204", "content-length", "00"), 502},
		{"signed length", head(":status", "204", "content-length", "+0"), 502},
		{"bad name", head(":status", "204", "x a", "1"), 502},
		{"upper-case name", head(":status", "204", "X-A", "1"), 502},
		{"control character", head(":status", "204", "x-a", "\x01"), 502},
		{"pseudo field of a request", head(":status", "204", ":path", "/"), 502},
		{"too many fields", head(many...), 502},
		{"end of the connection", func(c *scriptConn, _ uint32) { _ = c.Close() }, 502},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t, nil, func(c *scriptConn, _ int) {
				if stream, ok := c.request(); ok {
					tt.answer(c, stream)
					c.wait()
				}
			})
			g := newGateway(t, newTransport, Settings{URLs: []string{s.url}, FailureThreshold: 1, ResetTimeout: time.Hour})
			status, _ := post(t, g, http.MethodPost, "")
			x := g.exchange(t)
			if failed := tt.status == 502; status != tt.status || (x.Outcome.Failed == exchange.Upstream) != failed {
				t.Errorf("answer = %d, %q %+v; want %d", status, x.Refusal, x.Outcome, tt.status)
			}
		})
	}
}

// TestBrokenBodiesH2: what is found out behind the head aborts the answer.
func TestBrokenBodiesH2(t *testing.T) {
	tests := []struct {
		name   string
		answer func(c *scriptConn, stream uint32)
	}{
		{"reset", func(c *scriptConn, stream uint32) {
			c.headers(stream, false, ":status", "200")
			c.write(frameData, 0, stream, []byte("hello"))
			c.reset(stream, 2)
		}},
		{"short", func(c *scriptConn, stream uint32) {
			c.headers(stream, false, ":status", "200", "content-length", "6")
			c.write(frameData, flagEnd, stream, []byte("hello"))
		}},
		{"long", func(c *scriptConn, stream uint32) {
			c.headers(stream, false, ":status", "200", "content-length", "4")
			c.write(frameData, flagEnd, stream, []byte("hello"))
		}},
		{"end of the connection", func(c *scriptConn, stream uint32) {
			c.headers(stream, false, ":status", "200")
			c.write(frameData, 0, stream, []byte("hello"))
			_ = c.Close()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t, nil, func(c *scriptConn, _ int) {
				if stream, ok := c.request(); ok {
					tt.answer(c, stream)
					c.wait()
				}
			})
			g := newGateway(t, newTransport, Settings{URLs: []string{s.url}})
			if resp, err := g.Client().Get(g.URL); err == nil {
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err == nil && len(body) != 4 { // net/http gives what was announced and no more
					t.Errorf("body = %q with a clean end, want an aborted one", body)
				}
			}
			g.exchange(t)
			if canceled, bodyErrors := g.counters(); canceled != 0 || bodyErrors != 1 {
				t.Errorf("canceled, bodyErrors = %v, %v; want 0, 1", canceled, bodyErrors)
			}
		})
	}
}
