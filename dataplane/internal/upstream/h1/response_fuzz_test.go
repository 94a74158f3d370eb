package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzResponse holds the parser to three oracles: what is accepted, written again and parsed again is the same; any
// fragmentation and any concatenation gives the same sequence; and net/http frames it alike, but for what differs lists.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		ok + "Content-Length: 5\r\n\r\nhello" + ok + "Content-Length: 0\r\n\r\n",
		chunked + "5;a=\"b\"\r\nhello\r\n0\r\nT: 1\r\n\r\n" + "HTTP/1.1 304 No\r\n\r\n",
		"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
		ok + "Connection: close, X-A\r\nX-A: 1\r\n\r\nto the end",
		"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nbytes",
		ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", ok + "A: b\r\n c\r\n\r\n", chunked + "0x1\r\na\r\n0\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(3), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, fragment uint8, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		got, rest, err := readAll(in, 1<<20, method)
		parts, restOfParts, errOfParts := readAll(in, int(fragment)+1, method)
		if diff := cmp.Diff(got, parts); diff != "" || !bytes.Equal(rest, restOfParts) && err == nil || (err == nil) != (errOfParts == nil) {
			t.Fatalf("in fragments of %d: %v, whole: %v (-whole +parts):\n%s", int(fragment)+1, errOfParts, err, diff)
		}
		if err == nil && len(rest) == 0 && len(got) > 0 && got[len(got)-1].KeepAlive {
			twice, rest, err := readAll(slices.Concat(in, in), int(fragment)+1, method)
			if diff := cmp.Diff(slices.Concat(got, got), twice); diff != "" || len(rest) > 0 || err != nil {
				t.Fatalf("one behind the other: %v, rest %q (-each alone +together):\n%s", err, rest, diff)
			}
		}
		roundTrip(t, got, method)
		secondOpinion(t, in, got, method)
	})
}

// roundTrip writes the messages, all in a row, and reads them again.
func roundTrip(t *testing.T, messages []message, method string) {
	t.Helper()
	var b bytes.Buffer
	for _, m := range messages {
		fmt.Fprintf(&b, "HTTP/1.%d %d \r\n", m.Minor, m.Status)
		for _, field := range m.Fields {
			fmt.Fprintf(&b, "%s: %s\r\n", field[0], field[1])
		}
		b.WriteString("\r\n")
		switch {
		case m.Framing == byChunks && m.Body != "":
			fmt.Fprintf(&b, "%x\r\n%s\r\n0\r\n\r\n", len(m.Body), m.Body)
		case m.Framing == byChunks:
			b.WriteString(LastChunk)
		default:
			b.WriteString(m.Body)
		}
	}
	if b.Len() > 0 {
		again, rest, err := readAll(b.Bytes(), 1<<20, method)
		if diff := cmp.Diff(messages, again); diff != "" || err != nil || len(rest) > 0 {
			t.Fatalf("written again: %v, rest %q (-first +again):\n%s", err, rest, diff)
		}
	}
}

// secondOpinion reads with net/http what was accepted.
func secondOpinion(t *testing.T, in []byte, messages []message, method string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(in))
	for _, m := range messages {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			if why := differs(&m, err); why == "" {
				t.Fatalf("net/http refuses %+v: %v", m, err)
			}
			return
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if m.Status == http.StatusSwitchingProtocols {
			return // for net/http the rest is its body
		}
		if err != nil && differs(&m, err) != "" {
			return
		}
		if err != nil || resp.StatusCode != m.Status || string(body) != m.Body || m.Status >= 200 && resp.Close == m.KeepAlive {
			t.Fatalf("net/http reads %d %q close %v, %v; want %+v", resp.StatusCode, body, resp.Close, err, m)
		}
		for _, field := range m.Fields {
			if !framing(field[0]) && !slices.Contains(resp.Header[field[0]], field[1]) {
				t.Fatalf("net/http has %q for %s, want %q", resp.Header[field[0]], field[0], field[1])
			}
		}
	}
}

// framing are the fields that net/http takes out of the header.
func framing(name string) bool {
	return slices.Contains([]string{"Connection", "Content-Length", "Transfer-Encoding", "Trailer"}, name)
}

// differs says why net/http does not read what is accepted here, "" if it should.
func differs(m *message, err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "too much non-data"):
		return "it bounds the share of chunk lines in a body, which are bounded one by one here"
	case m.Framing == byChunks && strings.Contains(text, "trailer"):
		return "it wants trailers to fit its buffer, and none to be about framing; they are dropped here"
	case strings.Contains(text, "bad trailer key"), strings.Contains(text, "invalid Trailer key"):
		return "it reads Trailer, which says nothing here"
	}
	return ""
}
