package http1

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type handler = http.HandlerFunc

// put returns a handler that sets headers, name and value in turn, and writes the parts.
func put(status int, headers []string, parts ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		for i := 0; i < len(headers); i += 2 {
			w.Header()[headers[i]] = append(w.Header()[headers[i]], headers[i+1])
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		for _, p := range parts {
			_, _ = io.WriteString(w, p) // the answer shows what became of it
		}
	}
}

func flushed(parts ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		for _, p := range parts {
			_, _ = io.WriteString(w, p)
			w.(http.Flusher).Flush()
		}
	}
}

// Requests without "close" in them are followed by one that the same handler answers; only the first answer is looked at.
func TestAnswer(t *testing.T) {
	const (
		get11  = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		head11 = "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		get10  = "GET / HTTP/1.0\r\n\r\n"
		ok     = "HTTP/1.1 200 OK\r\n"
		end    = "Connection: close\r\n"
	)
	big := strings.Repeat("0123456789abcdef", 1<<10)
	tests := []struct {
		name    string
		h       handler
		request string
		want    string
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, get11, ok + "Content-Length: 0\r\n" + end + "\r\n"},
		{"known at the end", put(0, nil, "a", "bc"), get11, ok + "Content-Length: 3\r\n" + end + "\r\nabc"},
		{"header", put(404, []string{"X-A", "1", "X-A", "2"}, "a"), get11, "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n" + end + "X-A: 1\r\nX-A: 2\r\n\r\na"},
		{"status without a name", put(599, nil), get11, "HTTP/1.1 599 \r\nContent-Length: 0\r\n" + end + "\r\n"},
		{"announced", put(200, []string{"Content-Length", "2"}, "ab"), get11, ok + "Content-Length: 2\r\n" + end + "\r\nab"},
		{"more than announced", put(200, []string{"Content-Length", "2"}, "ab", "c"), get11, ok + "Content-Length: 2\r\n" + end + "\r\nab"},
		{"announced badly", put(200, []string{"Content-Length", "02"}, "ab"), get11, ok + "Content-Length: 2\r\n" + end + "\r\nab"},
		{"framing in odd spelling", put(200, []string{"content-length", "2", "tRANSFER-eNCODING", "chunked", "trailer", "X"}, "ab"), get11, ok + "Content-Length: 2\r\n" + end + "\r\nab"},
		{"flushed: chunks", flushed("a", "bc"), get11, ok + "Transfer-Encoding: chunked\r\n" + end + "\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"},
		{"large: one chunk", put(0, nil, "ab", big), get11, ok + "Transfer-Encoding: chunked\r\n" + end + "\r\n4002\r\nab" + big + "\r\n0\r\n\r\n"},
		{"large, announced", put(0, []string{"Content-Length", "16386"}, "ab", big), get11, ok + "Content-Length: 16386\r\n" + end + "\r\nab" + big},
		{"HTTP/1.0: its end is the connection's", flushed("a", "b"), get10, "HTTP/1.0 200 OK\r\n" + end + "\r\nab"},
		{"HTTP/1.0 known", put(0, nil, "ab"), get10, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n" + end + "\r\nab"},
		{"HEAD", put(0, nil, "abc"), head11, ok + "Content-Length: 3\r\n" + end + "\r\n"},
		{"HEAD announced", put(0, []string{"Content-Length", "7"}), head11, ok + "Content-Length: 7\r\n" + end + "\r\n"},
		{"HEAD unknown", flushed("a", "b"), head11, ok + end + "\r\n"},
		{"204", put(204, []string{"Content-Length", "2"}, "ab"), get11, "HTTP/1.1 204 No Content\r\n" + end + "\r\n"},
		{"304", put(304, []string{"Content-Length", "2"}, "ab"), get11, "HTTP/1.1 304 Not Modified\r\n" + end + "\r\n"},
		{"lines in a value", put(0, []string{"X", "a\r\nSet-Cookie: b\x00"}), get11, ok + "Content-Length: 0\r\n" + end + "X: a  Set-Cookie: b \r\n\r\n"},
		{"name no token", put(0, []string{"X Y", "a", "", "b", "A:b", "c"}), get11, ok + "Content-Length: 0\r\n" + end + "\r\n"},
		{"Connection of the handler's", put(426, []string{"Connection", "upgrade"}), get11, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n" + end + "Connection: upgrade\r\n\r\n"},
		{"Connection: close by the handler", put(0, []string{"Connection", "keep-alive, CLOSE"}), strings.Replace(get11, end, "", 1), ok + "Content-Length: 0\r\n" + end + "\r\n"},
		{"header after the head", func(w http.ResponseWriter, r *http.Request) {
			put(200, nil, "a")(w, r)
			w.Header().Set("X", "y")
			w.WriteHeader(500)
		}, get11, ok + "Content-Length: 1\r\n" + end + "\r\na"},
		{"103 and 100 unasked", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "a")
			w.WriteHeader(103)
			w.WriteHeader(100)
			delete(w.Header(), "Link")
			put(0, nil, "a")(w, r)
		}, get11, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok + "Content-Length: 1\r\n" + end + "\r\na"},
		{"103 on HTTP/1.0", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(103)
			put(0, nil, "a")(w, r)
		}, get10, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n" + end + "\r\na"},
		{"type guessed", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>")
		}, get11, ok + "Content-Length: 6\r\nContent-Type: text/html; charset=utf-8\r\n" + end + "\r\n<html>"},
		{"type not guessed for an encoded body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "x")
			_, _ = io.WriteString(w, "<html>")
		}, get11, ok + "Content-Length: 6\r\n" + end + "Content-Encoding: x\r\n\r\n<html>"},
		{"fewer than announced ends the connection", put(0, []string{"Content-Length", "3"}, "ab"), strings.Replace(get11, end, "", 1), ok + "Content-Length: 3\r\n\r\nab"},
		{"101", put(101, []string{"Upgrade", "x", "Connection", "Upgrade"}), get11, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := undated(t, ask(t, serve(t, &Server{Handler: tt.h}), tt.request, 1000))
			if tt.name == "101" { // the two lines are written in the order of a map
				got = strings.Replace(got, "Connection: Upgrade\r\nUpgrade: x", "Upgrade: x\r\nConnection: Upgrade", 1)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDateOfTheHandlerStays(t *testing.T) {
	for value, want := range map[string]string{"x": "Date: x\r\n", "": ""} {
		var values []string
		if value != "" {
			values = []string{value}
		}
		addr := serve(t, &Server{Handler: handler(func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = values })})
		got := ask(t, addr, "GET / HTTP/1.0\r\n\r\n", 100)
		if dates := strings.Join(dateLine.FindAllString(got, -1), ""); dates != want {
			t.Errorf("handler's Date %q: answer has %q, want %q", value, dates, want)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	got := make(chan error, 1)
	addr := serve(t, &Server{Handler: handler(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			w.WriteHeader(http.StatusNoContent)
		} else {
			w.Header().Set("Content-Length", "1")
		}
		_, err := w.Write([]byte("ab"))
		got <- err
	})})
	for path, want := range map[string]error{"/none": http.ErrBodyNotAllowed, "/length": http.ErrContentLength} {
		ask(t, addr, "GET "+path+" HTTP/1.0\r\n\r\n", 100)
		if err := <-got; !errors.Is(err, want) {
			t.Errorf("%s: Write: %v, want %v", path, err, want)
		}
	}
}

// A handler without Recycle keeps its writer for ever: it never writes into another answer.
func TestLateUseFails(t *testing.T) {
	writers, bodies := make(chan *Writer, 1), make(chan io.Reader, 1)
	addr := serve(t, &Server{Handler: handler(func(w http.ResponseWriter, r *http.Request) {
		writers <- w.(*Writer)
		bodies <- r.Body
	})})
	ask(t, addr, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", 1000)
	w, body := <-writers, <-bodies
	w.WriteHeader(500)
	_, write := w.Write([]byte("late"))
	_, copied := w.ReadFrom(strings.NewReader("late"))
	_, _, hijack := w.Hijack()
	for name, err := range map[string]error{
		"Write": write, "ReadFrom": copied, "Hijack": hijack, "FlushError": w.FlushError(),
		"SetReadDeadline": w.SetReadDeadline(longAgo), "SetWriteDeadline": w.SetWriteDeadline(longAgo),
	} {
		if !errors.Is(err, errLate) {
			t.Errorf("%s: %v, want %v", name, err, errLate)
		}
	}
	if _, err := body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("body: %v, want %v", err, http.ErrBodyReadAfterClose)
	}
}

// What ReadFrom is given comes out whole, spliced or copied, in every framing.
func TestReadFrom(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 40<<10) // more than a piece
	name := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	backend := serve(t, &Server{Handler: handler(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })})
	sources := map[string]func(t *testing.T) io.Reader{
		"reader": func(*testing.T) io.Reader { return strings.NewReader(body) },
		"file": func(t *testing.T) io.Reader {
			t.Helper()
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			return f
		},
		"tcp": func(t *testing.T) io.Reader {
			t.Helper()
			nc := dial(t, backend)
			if _, err := io.WriteString(nc, "GET / HTTP/1.0\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			one := make([]byte, 1)
			for head := ""; !strings.HasSuffix(head, "\r\n\r\n"); head += string(one) {
				if _, err := nc.Read(one); err != nil {
					t.Fatal(err)
				}
			}
			return &io.LimitedReader{R: nc, N: 1 << 40}
		},
	}
	for source, open := range sources {
		for _, length := range []string{"", "655360"} {
			for _, proto := range []string{"1.0", "1.1"} {
				t.Run("source="+source+"/length="+length+"/proto="+proto, func(t *testing.T) {
					src := open(t)
					addr := serve(t, &Server{Handler: handler(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Type", "x")
						if length != "" {
							w.Header().Set("Content-Length", length)
						}
						if n, err := w.(io.ReaderFrom).ReadFrom(src); n != int64(len(body)) || err != nil {
							t.Errorf("ReadFrom = %d, %v, want %d", n, err, len(body))
						}
					})})
					nc := dial(t, addr)
					if _, err := io.WriteString(nc, "GET / HTTP/"+proto+"\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
						t.Errorf("%d bytes, %v, want the %d that were sent", len(got), err, len(body))
					}
				})
			}
		}
	}
}

func TestHijack(t *testing.T) {
	addr := serve(t, &Server{Handler: handler(func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		early, err := rw.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		more, err := rw.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("Write: %v, want %v", err, http.ErrHijacked)
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("second Hijack: %v, want %v", err, http.ErrHijacked)
		}
		_, _ = io.WriteString(nc, early+more) // the test sees what arrives
	})})
	nc := dial(t, addr)
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\nearly\nla"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(nc, "ter\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(nc); err != nil || string(got) != "early\nlater\n" {
		t.Errorf("hijacker wrote %q, %v, want early and later", got, err)
	}
}
